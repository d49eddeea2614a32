/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/rates.h"

#include <poll.h>
#include <stdlib.h>

#define SECONDS_MIN 0.1
#define SECONDS_MAX 3600.0

/* At one time. */
struct sample {
    struct client_output info, output;
};

bool rates_seconds(const char *text, double *seconds)
{
    return number_within(text, SECONDS_MIN, SECONDS_MAX, seconds);
}

void rates_wait(double seconds)
{
    (void)poll(NULL, 0, (int)(seconds * 1000));
}

static enum client_result fetch(struct client *client, const char *command, struct sample *sample)
{
    enum client_result result = client_execute(client, "info", &sample->info);

    return result == CLIENT_OK ? client_execute(client, command, &sample->output) : result;
}

static void drop(struct sample *sample)
{
    free(sample->info.text);
    free(sample->output.text);
}

static struct span text_of(const struct client_output *output)
{
    return span_of(output->text, output->size);
}

static enum client_result print_all(const struct sample *before, const struct sample *now,
                                    void (*print)(FILE *out, const struct rates *rates))
{
    unsigned long long from = cells_value(text_of(&before->info), "uptime_ms");
    unsigned long long to = cells_value(text_of(&now->info), "uptime_ms");
    struct rates rates = {text_of(&before->output), text_of(&now->output),
                          to > from ? to - from : 0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        return CLIENT_NO_MEMORY;
    }
    print(out, &rates);
    fclose(out);
    print_tables(text, size);
    free(text);
    return CLIENT_OK;
}

int rates_show(struct client *client, const char *command, double seconds,
               void (*print)(FILE *out, const struct rates *rates))
{
    struct sample before = {0}, now = {0};
    enum client_result result = fetch(client, command, &before);

    if (result == CLIENT_OK) {
        rates_wait(seconds);
        result = fetch(client, command, &now);
    }
    if (result == CLIENT_OK) {
        result = print_all(&before, &now, print);
    }
    drop(&before);
    drop(&now);
    return result == CLIENT_OK ? EXIT_DONE : line_trouble(client, result);
}

void rates_print(FILE *out, const struct rates *rates, unsigned long long before,
                 unsigned long long now, unsigned unit)
{
    if (rates->ms == 0 || now < before) {
        fputs("\t-", out);
    } else {
        fprintf(out, "\t%llu", (now - before) * 1000 / rates->ms / unit);
    }
}
