/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot flow, from the firmware's call to the hand-over. Whatever is wrong is found here, while
 * there is still a firmware to go back to.
 */
#include "arch/x86/uefi/uefi.h"
#include "arch/x86/vmx_probe.h"
#include "core/config.h"
#include "core/hypervisor.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "machine/guest_kernel.h"
#include "virtio/disk.h"

#define EFI_LOAD_ERROR 0x8000000000000001ull
#define WAIT_SECONDS   10u
/* What the hypervisor needs beside guests and windows, with room to spare. */
#define OWN_MEMORY MIB(8)

/* The firmware's entry point; gnu-efi's start code calls it after relocation. */
uint64_t efi_main(void *image, void *system_table);

static struct boot_info boot_info;
static struct config config;

static const struct boot_file *find(const char *path)
{
    for (uint32_t i = 0; i < boot_info.file_count; i++) {
        if (strcmp(boot_info.files[i].path, path) == 0) {
            return &boot_info.files[i];
        }
    }
    return NULL;
}

static status_t read_once(const char *path)
{
    return find(path) != NULL ? STATUS_OK : uefi_read_file(&boot_info, path);
}

static status_t read_config(const char *name)
{
    char path[96];
    struct config_error error;

    (void)format_string(path, sizeof(path), "/postern/%s.conf", name);
    status_t status = uefi_read_file(&boot_info, path);
    if (status != STATUS_OK) {
        return status;
    }
    const struct boot_file *file = &boot_info.files[boot_info.file_count - 1];
    status = config_parse(file->data, file->size, &config, &error);
    if (status != STATUS_OK) {
        log_error("%s:%u: %s", path, error.line, error.text);
    }
    return status;
}

/* Whether the VM's kernel can be loaded; its files have been read. */
static status_t check_kernel(const struct config_vm *vm)
{
    const struct boot_file *kernel = find(vm->kernel);
    const struct boot_file *initrd = vm->initrd[0] != '\0' ? find(vm->initrd) : NULL;
    struct guest_kernel_request request = {
        .ram_size = vm->memory,
        .kernel = kernel->data,
        .kernel_size = kernel->size,
        .initrd = initrd != NULL ? initrd->data : NULL,
        .initrd_size = initrd != NULL ? initrd->size : 0,
        .cmdline = vm->cmdline,
    };
    char error[128] = "";
    status_t status = guest_kernel_check(&request, error, sizeof(error));

    if (status != STATUS_OK) {
        log_error("%s: %s", vm->kernel, error);
    }
    return status;
}

/* Whether a disk can be made of the image, which is a whole number of sectors. */
static status_t read_disk(const struct config_disk *disk)
{
    status_t status = read_once(disk->image);

    if (status == STATUS_OK && find(disk->image)->size % DISK_SECTOR != 0) {
        log_error("%s: has %llu bytes, which is no multiple of %u: no disk's image", disk->image,
                  (unsigned long long)find(disk->image)->size, DISK_SECTOR);
        status = STATUS_INVALID;
    }
    return status;
}

static status_t read_images(void)
{
    for (uint32_t i = 0; i < config.vm_count; i++) {
        const struct config_vm *vm = &config.vms[i];
        status_t status = read_once(vm->kernel);
        if (status == STATUS_OK && vm->initrd[0] != '\0') {
            status = read_once(vm->initrd);
        }
        if (status == STATUS_OK) {
            status = check_kernel(vm);
        }
        for (uint32_t d = 0; d < vm->disk_count && status == STATUS_OK; d++) {
            status = read_disk(&vm->disks[d]);
        }
        if (status != STATUS_OK) {
            log_error("vm %s (line %u of the configuration) cannot be loaded", vm->name, vm->line);
            return status;
        }
    }
    return STATUS_OK;
}

static status_t check_cpus(void)
{
    for (uint32_t i = 0; i < config.vm_count; i++) {
        const struct config_vm *vm = &config.vms[i];
        for (uint32_t vcpu = 0; vcpu < vm->vcpus; vcpu++) {
            if (vm->pcpus[vcpu] >= boot_info.cpu_count) {
                log_error("vm %s (line %u): pcpu %u, but this machine has %u CPU: 0 to %u are "
                          "allowed",
                          vm->name, vm->line, vm->pcpus[vcpu], boot_info.cpu_count,
                          boot_info.cpu_count - 1);
                return STATUS_INVALID;
            }
        }
    }
    return STATUS_OK;
}

/* What a VM takes that is created with the machine. */
static uint64_t memory_of(const struct config_vm *vm)
{
    uint64_t needed = vm->memory;

    for (uint32_t i = 0; i < vm->disk_count; i++) {
        needed += vm->disks[i].overlay;
    }
    return vm->autostart ? needed : 0;
}

static status_t check_memory(void)
{
    uint64_t needed = OWN_MEMORY;
    uint64_t free = uefi_free_memory();

    for (uint32_t i = 0; i < config.vm_count; i++) {
        needed += memory_of(&config.vms[i]);
    }
    for (uint32_t i = 0; i < config.link_count; i++) {
        needed += 2 * config.links[i].window;
    }
    for (uint32_t i = 0; i < config.network_count; i++) {
        /* Each member's section, and the hypervisor's. */
        needed += (config.networks[i].member_count + 1) * config.networks[i].window;
    }
    if (needed > free) {
        log_error("the configuration needs %llu MiB of memory, this machine has %llu MiB free",
                  (unsigned long long)(needed >> 20), (unsigned long long)(free >> 20));
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* The boot menu's entry may add words to the guests' command lines. */
static status_t append_words(const char *words)
{
    for (uint32_t i = 0; i < config.vm_count; i++) {
        struct config_vm *vm = &config.vms[i];
        size_t used = strlen(vm->cmdline);
        if (!string_copy(vm->cmdline + used, sizeof(vm->cmdline) - used, words)) {
            log_error("vm %s (line %u): no room for append=%s on its command line", vm->name,
                      vm->line, words);
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

static status_t prepare(const struct uefi_options *options)
{
    status_t status = read_config(options->config);

    if (status == STATUS_OK) {
        status = append_words(options->append);
    }
    if (status == STATUS_OK) {
        status = uefi_collect(&boot_info);
    }
    if (status == STATUS_OK) {
        status = check_cpus();
    }
    if (status == STATUS_OK) {
        status = check_memory();
    }
    if (status == STATUS_OK) {
        status = vmx_check_this_cpu();
    }
    if (status == STATUS_OK) {
        status = read_images();
    }
    /* Once more, now that the images have taken their part. */
    return status == STATUS_OK ? check_memory() : status;
}

uint64_t efi_main(void *image, void *system_table)
{
    struct uefi_options options;
    status_t status = uefi_start(image, system_table, &boot_info, &options);

    log_info("Postern, a small hypervisor for Linux guests that share rings");
    if (status == STATUS_OK) {
        status = prepare(&options);
    }
    if (status != STATUS_OK) {
        log_error("Postern has not started; back to the boot menu after a key, or %u seconds",
                  WAIT_SECONDS);
        uefi_wait(WAIT_SECONDS);
        return EFI_LOAD_ERROR;
    }
    status = uefi_exit_boot_services(&boot_info);
    if (status != STATUS_OK) {
        return EFI_LOAD_ERROR;
    }
    struct hypervisor_options hypervisor_options = {.tests = options.tests,
                                                    .fallback = options.fallback,
                                                    .no_apicv = options.no_apicv,
                                                    .max_stay_ms = options.max_stay_ms};
    hypervisor_start(&boot_info, &config, &hypervisor_options);
}
