/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/hvctl/top_view.h"

#include <stdlib.h>
#include <string.h>

#include "tools/hvctl/cells.h"
#include "tools/hvctl/links.h"

#define REASONS 3u /* the exits of a VM that are named */

static struct span text_of(const struct client_output *output)
{
    return span_of(output->text, output->size);
}

enum client_result top_fetch(struct client *client, struct top_sample *sample)
{
    enum client_result result;

    *sample = (struct top_sample){0};
    if ((result = client_execute(client, "info", &sample->info)) != CLIENT_OK ||
        (result = client_execute(client, "list", &sample->list)) != CLIENT_OK ||
        (result = client_execute(client, "links", &sample->links)) != CLIENT_OK) {
        return result;
    }
    struct cells list = cells_find(text_of(&sample->list), "name");
    while (sample->vm_count < TOP_VMS_MAX && cells_next(&list)) {
        struct span name = cells_get(&list, "name");
        char command[80];
        snprintf(command, sizeof(command), "stats %.*s", (int)name.size, name.text);
        result = client_execute(client, command, &sample->stats[sample->vm_count]);
        if (result != CLIENT_OK) {
            return result;
        }
        sample->vm_count++;
    }
    return CLIENT_OK;
}

void top_free(struct top_sample *sample)
{
    free(sample->info.text);
    free(sample->list.text);
    free(sample->links.text);
    for (unsigned i = 0; i < TOP_VMS_MAX; i++) {
        free(sample->stats[i].text);
    }
    *sample = (struct top_sample){0};
}

static unsigned long long info_number(const struct top_sample *sample, const char *what)
{
    return cells_value(text_of(&sample->info), what);
}

/* Milliseconds between the samples; 0: they make no rate. */
static unsigned long long interval(const struct top_sample *before, const struct top_sample *now)
{
    unsigned long long from = info_number(before, "uptime_ms"), to = info_number(now, "uptime_ms");

    return to > from ? to - from : 0;
}

static void print_rate(FILE *out, unsigned long long before, unsigned long long now,
                       unsigned long long ms)
{
    if (ms == 0 || now < before) {
        fputs("\t-", out);
    } else {
        fprintf(out, "\t%llu", (now - before) * 1000 / ms);
    }
}

static void render_head(FILE *out, const struct top_sample *before, const struct top_sample *now,
                        unsigned long long ms)
{
    unsigned long long up = info_number(now, "uptime_ms") / 1000;

    fprintf(out, "Postern: up %llu:%02llu:%02llu, guests %llu MiB, hypervisor %llu KiB\n",
            up / 3600, up / 60 % 60, up % 60, info_number(now, "memory.guests_kib") / 1024,
            info_number(now, "memory.hypervisor_kib"));
    for (unsigned cpu = 0; cpu < info_number(now, "cpus"); cpu++) {
        char name[32];
        snprintf(name, sizeof(name), "cpu%u.idle_ms", cpu);
        unsigned long long idle = info_number(now, name) - info_number(before, name);
        if (ms == 0 || idle > ms) {
            idle = ms;
        }
        fprintf(out, "%scpu%u %llu%%", cpu > 0 ? "  " : "", cpu,
                ms == 0 ? 0 : (ms - idle) * 100 / ms);
    }
    fputs("\n\n", out);
}

struct reason {
    struct span name;
    unsigned long long count;
};

/* The exits for one reason, of all vCPUs. */
static unsigned long long exits_for(const struct client_output *stats, struct span reason)
{
    struct cells table = cells_find(text_of(stats), "vcpu");
    unsigned long long sum = 0;

    while (cells_next(&table)) {
        struct span name = cells_get(&table, "exit");
        if (span_same(name, reason)) {
            sum += cells_number(&table, "count");
        }
    }
    return sum;
}

static void insert(struct reason top[REASONS], struct reason reason)
{
    for (unsigned i = 0; i < REASONS; i++) {
        if (span_same(top[i].name, reason.name)) {
            return; /* of another vCPU */
        }
    }
    for (unsigned i = 0; i < REASONS; i++) {
        if (reason.count > top[i].count) {
            struct reason lower = top[i];
            top[i] = reason;
            reason = lower;
        }
    }
}

/* The reasons for which a VM exits most. */
static void render_reasons(FILE *out, const struct client_output *before,
                           const struct client_output *now, unsigned long long ms)
{
    struct cells table = cells_find(text_of(now), "vcpu");
    struct reason top[REASONS] = {0};

    while (ms != 0 && cells_next(&table)) {
        struct span name = cells_get(&table, "exit");
        unsigned long long old = exits_for(before, name), new = exits_for(now, name);
        if (new > old && !span_equals(name, "all")) {
            insert(top, (struct reason){name, (new - old) * 1000 / ms});
        }
    }
    fputc('\t', out);
    for (unsigned i = 0; i < REASONS && top[i].count > 0; i++) {
        fprintf(out, "%s%.*s %llu", i > 0 ? ", " : "", (int)top[i].name.size, top[i].name.text,
                top[i].count);
    }
    fputc('\n', out);
}

static void print_cells(FILE *out, const struct cells *table, const char *const *columns)
{
    for (unsigned i = 0; columns[i] != NULL; i++) {
        struct span cell = cells_get(table, columns[i]);
        fprintf(out, "%s%.*s", i > 0 ? "\t" : "", (int)cell.size, cell.text);
    }
}

/* The stats of the VM of that name, empty if the sample has none. */
static const struct client_output *stats_of(const struct top_sample *sample, struct span vm)
{
    static const struct client_output none;
    struct cells list = cells_find(text_of(&sample->list), "name");

    for (unsigned i = 0; i < sample->vm_count && cells_next(&list); i++) {
        struct span name = cells_get(&list, "name");
        if (span_same(name, vm)) {
            return &sample->stats[i];
        }
    }
    return &none;
}

static void render_vms(FILE *out, const struct top_sample *before, const struct top_sample *now,
                       unsigned long long ms)
{
    static const char *const columns[] = {"name", "state", "vcpus", "pcpus", "memory_mib", NULL};
    struct cells list = cells_find(text_of(&now->list), "name");

    fputs("vm\tstate\tvcpus\tpcpus\tmib\texits/s\tmost, per second\n", out);
    while (cells_next(&list)) {
        struct cells old = cells_find(text_of(&before->list), "name");
        struct span name = cells_get(&list, "name");
        bool known = cells_seek(&old, name);
        print_cells(out, &list, columns);
        print_rate(out, cells_number(&old, "exits"), cells_number(&list, "exits"), known ? ms : 0);
        render_reasons(out, stats_of(before, name), stats_of(now, name), ms);
    }
}

/* What an end has put into its rings, in KiB. */
static void render_sent(FILE *out, const struct top_sample *before, const struct top_sample *now,
                        const struct cells *link, const char *end, unsigned long long ms)
{
    struct span name = cells_get(link, "name"), vm = cells_get(link, end);
    unsigned long long old =
        links_end_number(text_of(&before->links), name, vm, "sent_bytes") / 1024;

    print_rate(out, old, links_end_number(text_of(&now->links), name, vm, "sent_bytes") / 1024, ms);
}

static void render_links(FILE *out, const struct top_sample *before, const struct top_sample *now,
                         unsigned long long ms)
{
    static const char *const columns[] = {"name", "mode", "end0", "end1", NULL};
    struct cells links = cells_find(text_of(&now->links), "name");
    unsigned count = 0;

    while (cells_next(&links)) {
        struct cells old = cells_find(text_of(&before->links), "name");
        (void)cells_seek(&old, cells_get(&links, "name"));
        if (count++ == 0) {
            fputs("\nlink\tmode\tend0\tend1\tkib0/s\tkib1/s\tdoorbells0/s\tdoorbells1/s\n", out);
        }
        print_cells(out, &links, columns);
        render_sent(out, before, now, &links, "end0", ms);
        render_sent(out, before, now, &links, "end1", ms);
        print_rate(out, cells_number(&old, "doorbells0"), cells_number(&links, "doorbells0"), ms);
        print_rate(out, cells_number(&old, "doorbells1"), cells_number(&links, "doorbells1"), ms);
        fputc('\n', out);
    }
}

void top_render(FILE *out, const struct top_sample *before, const struct top_sample *now)
{
    unsigned long long ms = interval(before, now);

    render_head(out, before, now, ms);
    render_vms(out, before, now, ms);
    render_links(out, before, now, ms);
}
