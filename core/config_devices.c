/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of a VM's virtio devices. */
#include "core/config_parts.h"

#include "lib/bits.h"
#include "lib/string.h"

status_t config_set_rng(struct parser *parser, char *value)
{
    return config_parse_switch(parser, "rng", value, &parser->vm->rng);
}

status_t config_set_hvc(struct parser *parser, char *value)
{
    return config_parse_switch(parser, "hvc", value, &parser->vm->hvc);
}

status_t config_set_virtqueues(struct parser *parser, char *value)
{
    if (strcmp(value, "split") != 0 && strcmp(value, "packed") != 0) {
        return config_fail(parser, "virtqueues \"%s\": split or packed is wanted", value);
    }
    parser->vm->split_virtqueues = strcmp(value, "split") == 0;
    return STATUS_OK;
}

const char *config_disk_mode_name(enum config_disk_mode mode)
{
    static const char *const names[] = {
        [CONFIG_DISK_RO] = "ro", [CONFIG_DISK_RW] = "rw", [CONFIG_DISK_OVERLAY] = "overlay"};

    return names[mode];
}

static status_t parse_overlay(struct parser *parser, const char *value, uint64_t *size)
{
    if (value == NULL || !config_parse_size(value, size) || *size < CONFIG_OVERLAY_MIN ||
        *size > CONFIG_OVERLAY_MAX || !is_aligned(*size, CONFIG_OVERLAY_MIN)) {
        return config_fail(parser, "overlay \"%s\": a multiple of %lluK up to %lluG is wanted",
                           value != NULL ? value : "", CONFIG_OVERLAY_MIN >> 10,
                           CONFIG_OVERLAY_MAX >> 30);
    }
    return STATUS_OK;
}

static status_t parse_disk_mode(struct parser *parser, const char *mode, char **rest,
                                struct config_disk *disk)
{
    if (mode != NULL && strcmp(mode, "overlay") == 0) {
        disk->mode = CONFIG_DISK_OVERLAY;
        return parse_overlay(parser, config_next_word(rest), &disk->overlay);
    }
    if (mode == NULL || (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)) {
        return config_fail(parser, "disk %s: ro, rw or \"overlay SIZE\" is wanted behind the image",
                           disk->image);
    }
    disk->mode = strcmp(mode, "rw") == 0 ? CONFIG_DISK_RW : CONFIG_DISK_RO;
    return STATUS_OK;
}

status_t config_set_disk(struct parser *parser, char *value)
{
    struct config_vm *vm = parser->vm;
    struct config_disk *disk = &vm->disks[vm->disk_count];
    const char *image = config_next_word(&value);

    if (vm->disk_count == CONFIG_MAX_DISKS) {
        return config_fail(parser, "more than %u disks", CONFIG_MAX_DISKS);
    }
    status_t status = config_parse_path(parser, disk->image, image);
    if (status == STATUS_OK) {
        status = parse_disk_mode(parser, config_next_word(&value), &value, disk);
    }
    const char *more = status == STATUS_OK ? config_next_word(&value) : NULL;
    if (more != NULL) {
        return config_fail(parser, "disk %s: \"%s\" is one word too many", disk->image, more);
    }
    vm->disk_count += status == STATUS_OK;
    return status;
}

/* How often `vm` uses the file at `path`. */
static uint32_t count_uses(const struct config_vm *vm, const char *path)
{
    uint32_t uses = strcmp(vm->kernel, path) == 0;

    uses += strcmp(vm->initrd, path) == 0;
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        uses += strcmp(vm->disks[i].image, path) == 0;
    }
    return uses;
}

/* Whether nobody else uses what `vm` may write to. */
static status_t check_writable(struct parser *parser, const struct config_vm *vm, const char *path)
{
    for (uint32_t i = 0; i < parser->config->vm_count; i++) {
        const struct config_vm *other = &parser->config->vms[i];
        if (count_uses(other, path) > (other == vm ? 1 : 0)) {
            parser->line = vm->line;
            return config_fail(parser,
                               "vm %s: disk %s is rw, and vm %s has the same file: only one may",
                               vm->name, path, other->name);
        }
    }
    return STATUS_OK;
}

status_t config_check_disks(struct parser *parser)
{
    for (uint32_t i = 0; i < parser->config->vm_count; i++) {
        const struct config_vm *vm = &parser->config->vms[i];
        for (uint32_t d = 0; d < vm->disk_count; d++) {
            status_t status = vm->disks[d].mode == CONFIG_DISK_RW
                                  ? check_writable(parser, vm, vm->disks[d].image)
                                  : STATUS_OK;
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}
