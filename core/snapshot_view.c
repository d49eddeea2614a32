/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot_view.h"

#include "core/port.h"
#include "core/vcpu_views.h"
#include "core/view_image.h"
#include "core/window.h"
#include "lib/bits.h"
#include "lib/format.h"

_Static_assert(CONFIG_MAX_PORTS <= 32 && CONFIG_MAX_VCPUS <= 32, "a bit for each");

/* Only tests have others (POSTERN_HC_TEST_SEAL), whose tables are no VM's. */
status_t snapshot_views_check(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    for (uint32_t view = 1; view < vm->views.end; view++) {
        if (views_ept(&vm->views, view) != NULL && port_of_view(vm, view) == NULL) {
            (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                                "view %u of %s is a test's, which no snapshot carries", view,
                                vm->config->name);
            return STATUS_UNSUPPORTED;
        }
    }
    return STATUS_OK;
}

static uint32_t vcpus_of_view(const struct vm *vm, uint32_t view)
{
    uint32_t vcpus = 0;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpus |= eptp_list_get(vm->vcpus[i].eptp_list, view) != 0 ? BIT32(i) : 0;
    }
    return vcpus;
}

static status_t save_views(const struct vm *vm, struct snapshot_writer *writer)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        uint32_t view = vm->ports[i]->view;
        if (view == 0) {
            continue;
        }
        struct view_image *image = view_image_add(writer, view);
        if (image == NULL) {
            return STATUS_NO_MEMORY;
        }
        *image = (struct view_image){.port = i, .vcpus = vcpus_of_view(vm, view)};
    }
    return STATUS_OK;
}

status_t snapshot_views_save(const struct vm *vm, struct snapshot_writer *writer)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct ve_information *area = vm->vcpus[i].ve;
        if (area == NULL) {
            continue;
        }
        struct ve_image *image = ve_image_add(writer, i);
        if (image == NULL) {
            return STATUS_NO_MEMORY;
        }
        image->gpa = (uint64_t)((const uint8_t *)area - vm->ram);
    }
    return save_views(vm, writer);
}

/* A link may be gated now, or have been when the view was opened. */
static bool can_have_view(const struct port *port)
{
    return port->gated || port->ops->take_mode != NULL;
}

bool snapshot_views_fit(const struct vm *vm, const void *bytes, size_t size,
                        char error[SNAPSHOT_ERROR_SIZE])
{
    struct view_image_limits limits = {
        .ram_size = vm->ram_size, .vcpus = vm->vcpu_count, .ports = vm->port_count};

    for (uint32_t i = 0; i < vm->port_count; i++) {
        limits.with_views |= can_have_view(vm->ports[i]) ? BIT32(i) : 0;
    }
    return view_images_fit(bytes, size, &limits, error);
}

static status_t load_view(struct vm *vm, uint32_t view, const struct view_image *image)
{
    status_t status = window_restore_view(vm->ports[image->port], view);

    for (uint32_t i = 0; i < vm->vcpu_count && status == STATUS_OK; i++) {
        if ((image->vcpus & BIT32(i)) != 0) {
            vcpu_view_open(&vm->vcpus[i], view);
        }
    }
    return status;
}

status_t snapshot_views_load(struct vm *vm, const void *bytes, size_t size,
                             char error[SNAPSHOT_ERROR_SIZE])
{
    uint32_t count = snapshot_count(bytes, size, SNAPSHOT_VIEW);
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct ve_image *image = ve_image_find(bytes, size, i);
        vm->vcpus[i].image_ve = image != NULL ? vm_memory(vm, image->gpa, PAGE_SIZE) : NULL;
    }
    for (uint32_t view = 1; view <= count && status == STATUS_OK; view++) {
        status = load_view(vm, view, view_image_find(bytes, size, view));
    }
    if (status != STATUS_OK) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s has no table left for a view",
                            vm->config->name);
    }
    return status;
}
