/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `config`: the hypervisor's own parser on a file of this machine, before it is put on a
 * boot volume. */
#define _DEFAULT_SOURCE
#include "tools/hvctl/hvctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/config.h"

#define FILE_MAX ((size_t)1 << 20)

/* The file's bytes, to be freed; NULL after a complaint. "-": standard input. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *bytes = malloc(FILE_MAX + 1);

    if (file == NULL || bytes == NULL) {
        fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
        free(bytes);
        if (file != NULL && file != stdin) {
            fclose(file);
        }
        return NULL;
    }
    *size = fread(bytes, 1, FILE_MAX + 1, file);
    bool failed = ferror(file) != 0;
    if (failed) {
        fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
    } else if (*size > FILE_MAX) {
        fprintf(stderr, "hvctl: %s: no configuration is larger than %zu bytes\n", path, FILE_MAX);
        failed = true;
    }
    if (file != stdin) {
        fclose(file);
    }
    if (failed) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

bool load_configuration(const char *path, struct config *config)
{
    struct config_error error = {0};
    size_t size;
    char *bytes = read_file(path, &size);

    if (bytes == NULL) {
        return false;
    }
    status_t status = config_parse(bytes, size, config, &error);
    free(bytes);
    if (status != STATUS_OK) {
        fprintf(stderr, "%s:%u: %s\n", path, error.line, error.text);
    }
    return status == STATUS_OK;
}

/* Whether `volume` has the file that line `line` of the configuration names. */
static bool has_file(const char *config, const struct config_vm *vm, const char *volume,
                     const char *path)
{
    char full[4096];
    struct stat about;

    if (path[0] == '\0') {
        return true;
    }
    if (snprintf(full, sizeof(full), "%s%s", volume, path) >= (int)sizeof(full) ||
        stat(full, &about) != 0 || !S_ISREG(about.st_mode)) {
        fprintf(stderr, "%s:%u: vm %s: %s has no file %s\n", config, vm->line, vm->name, volume,
                path);
        return false;
    }
    return true;
}

static bool check_files(const char *path, const struct config *config, const char *volume)
{
    bool all = true;

    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *vm = &config->vms[i];
        all = has_file(path, vm, volume, vm->kernel) && all;
        all = has_file(path, vm, volume, vm->initrd) && all;
        for (uint32_t disk = 0; disk < vm->disk_count; disk++) {
            all = has_file(path, vm, volume, vm->disks[disk].image) && all;
        }
    }
    return all;
}

static int check(const char *path, const char *volume)
{
    static struct config config;

    if (!load_configuration(path, &config) ||
        (volume != NULL && !check_files(path, &config, volume))) {
        return EXIT_FAILED;
    }
    printf("%s: good: %u VMs, %u links, %u networks\n", path, config.vm_count, config.link_count,
           config.network_count);
    return EXIT_DONE;
}

/* As the configuration spells them; `keep` is what it has for a VM that is left as it is. */
static const char *policy_name(enum config_policy policy, const char *keep)
{
    return policy == CONFIG_RESTART ? "restart" : policy == CONFIG_DESTROY ? "destroy" : keep;
}

static const char *path_or_none(const char *path)
{
    return path[0] != '\0' ? path : "-";
}

/* The VMs of a mask, with commas between them. */
static void show_names(FILE *out, const struct config *config, uint32_t vms)
{
    const char *separator = "";

    for (uint32_t i = 0; i < config->vm_count; i++) {
        if ((vms >> i & 1) != 0) {
            fprintf(out, "%s%s", separator, config->vms[i].name);
            separator = ",";
        }
    }
    fputs(vms == 0 ? "-" : "", out);
}

/* Of all VMs; no table if there are none. */
static void show_devices(FILE *out, const struct config *config)
{
    const char *header = "\nvm\tdevice\timage\tmode\toverlay_kib\n";

    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *vm = &config->vms[i];
        if (vm->rng) {
            fprintf(out, "%s%s\trng\t-\t-\t-\n", header, vm->name);
            header = "";
        }
        if (vm->hvc) {
            fprintf(out, "%s%s\tconsole\t-\t-\t-\n", header, vm->name);
            header = "";
        }
        for (uint32_t disk = 0; disk < vm->disk_count; disk++) {
            const struct config_disk *d = &vm->disks[disk];
            fprintf(out, "%s%s\tdisk\t%s\t%s\t%llu\n", header, vm->name, d->image,
                    config_disk_mode_name(d->mode), (unsigned long long)(d->overlay >> 10));
            header = "";
        }
    }
}

static void show_vms(FILE *out, const struct config *config)
{
    fprintf(out, "vm\tmemory_mib\tvcpus\tpcpus\ton_reboot\ton_crash\tmwait\tkernel\tinitrd\t"
                 "cmdline\n");
    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *vm = &config->vms[i];
        fprintf(out, "%s\t%llu\t%u\t", vm->name, (unsigned long long)(vm->memory >> 20), vm->vcpus);
        for (uint32_t vcpu = 0; vcpu < vm->vcpus; vcpu++) {
            fprintf(out, "%s%u", vcpu == 0 ? "" : ",", vm->pcpus[vcpu]);
        }
        fprintf(out, "\t%s\t%s\t%s\t%s\t%s\t%s\n", policy_name(vm->on_reboot, "stop"),
                policy_name(vm->on_crash, "keep"), vm->mwait ? "on" : "off", vm->kernel,
                path_or_none(vm->initrd), path_or_none(vm->cmdline));
    }
}

static void show_lives(FILE *out, const struct config *config)
{
    fprintf(out, "\nvm\tautostart\tafter\trestarts\tweight\texclusive\n");
    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *vm = &config->vms[i];
        fprintf(out, "%s\t%s\t", vm->name, vm->autostart ? "on" : "off");
        show_names(out, config, vm->after);
        fprintf(out, "\t%u\t%u\t%s\n", vm->on_crash == CONFIG_RESTART ? vm->restarts : 0,
                vm->weight, vm->exclusive ? "on" : "off");
    }
}

static void show_links(FILE *out, const struct config *config)
{
    if (config->link_count > 0) {
        fprintf(out, "\nlink\tend0\tend1\tmode\twindow_kib\tqueues\tdoorbells\tpool_kib\n");
    }
    for (uint32_t i = 0; i < config->link_count; i++) {
        const struct config_link *link = &config->links[i];
        fprintf(out, "%s\t%s\t%s\t%s\t%llu\t%u\t%u\t%llu\n", link->name,
                config->vms[link->ends[0]].name, config->vms[link->ends[1]].name,
                config_mode_name(link->mode), (unsigned long long)(link->window >> 10),
                link->queues, link->doorbells, (unsigned long long)(link->pool >> 10));
    }
}

/* Those of `which`, bits; "-" for none. */
static void show_members(FILE *out, const struct config *config,
                         const struct config_network *network, uint32_t which)
{
    const char *between = "";

    for (uint32_t member = 0; member < network->member_count; member++) {
        if ((which >> member & 1) != 0) {
            fprintf(out, "%s%s", between, config->vms[network->members[member]].name);
            between = ",";
        }
    }
    fprintf(out, "%s", which == 0 ? "-" : "");
}

static void show_networks(FILE *out, const struct config *config)
{
    if (config->network_count > 0) {
        fprintf(out, "\nnetwork\tmembers\tmode\twindow_kib\tdoorbells\tswitched_by\tmacs\tvlans\t"
                     "drops\tvirtio\tmtu\n");
    }
    for (uint32_t i = 0; i < config->network_count; i++) {
        const struct config_network *network = &config->networks[i];
        fprintf(out, "%s\t", network->name);
        show_members(out, config, network, ~0u);
        fprintf(out, "\t%s\t%llu\t%u\t%s\t%s\t%u\t%u\t", config_mode_name(network->mode),
                (unsigned long long)(network->window >> 10), network->doorbells,
                network->switched_by == CONFIG_BY_HYPERVISOR
                    ? "-"
                    : config->vms[network->members[network->switched_by]].name,
                network->fixed_macs ? "fixed" : "learned", network->vlan_count,
                network->drop_count);
        show_members(out, config, network, network->virtio);
        fprintf(out, "\t%u\n", network->mtu);
    }
}

static int show(const char *path)
{
    static struct config config;
    char *text = NULL;
    size_t size = 0;

    if (!load_configuration(path, &config)) {
        return EXIT_FAILED;
    }
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        perror("hvctl");
        return EXIT_FAILED;
    }
    show_vms(out, &config);
    show_devices(out, &config);
    show_lives(out, &config);
    show_links(out, &config);
    show_networks(out, &config);
    fclose(out);
    print_tables(text, size);
    free(text);
    return EXIT_DONE;
}

int run_config(struct client *client, int argc, char **argv)
{
    (void)client;
    if (argc == 3 && strcmp(argv[1], "show") == 0) {
        return show(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "check") == 0) {
        return check(argv[2], NULL);
    }
    if (argc == 5 && strcmp(argv[1], "check") == 0 && strcmp(argv[2], "--volume") == 0) {
        return check(argv[4], argv[3]);
    }
    return wrong_usage(argv[0], "it takes 'check [--volume DIR] FILE' or 'show FILE'");
}
