/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/virtio.h"

#include "arch/x86/random.h"
#include "core/network.h"
#include "core/virtio_disk.h"
#include "core/virtio_function.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/spec.h"

#define CLASS_OTHER         0xff0000u
#define CLASS_COMMUNICATION 0x078000u
#define CLASS_STORAGE       0x018000u
#define CLASS_ETHERNET      0x020000u

#define DEVICES_MAX         (2 + CONFIG_MAX_DISKS + CONFIG_MAX_NETWORKS)

struct virtio_devices {
    uint32_t count;
    struct virtio_function functions[DEVICES_MAX];
    struct virtio_rng rng;
    struct virtio_console console;
    /* Of the console. */
    char stream_name[CONFIG_NAME_SIZE + 8];
    struct console output;
    struct virtio_blk blks[CONFIG_MAX_DISKS];
    struct disk disks[CONFIG_MAX_DISKS];
    uint32_t net_count;
    struct virtio_net nets[CONFIG_MAX_NETWORKS];
};

_Static_assert(CONFIG_MAX_VCPUS <= VIRTIO_QUEUES_MAX, "a queue for each vCPU");
_Static_assert(CONFIG_MAX_VCPUS <= VIRTIO_NET_PAIRS_MAX, "and a pair of a NIC's");
_Static_assert(VIRTIO_QUEUES_MAX < PCI_MSIX_VECTORS, "a vector for each queue, and one more");

/* The VMs with a virtio console, by its number. */
static struct vm *console_vms[CONFIG_MAX_VMS];
static uint32_t console_count;

static void *allocate(uint64_t size)
{
    return pages_alloc((size + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR);
}

static uint64_t features_of(const struct vm *vm)
{
    return VIRTIO_FEATURES | (vm->config->split_virtqueues ? 0 : VIRTIO_F_RING_PACKED);
}

/* The function that the VM's next device gets. */
static struct virtio_function *next_function(struct vm *vm)
{
    return &vm->virtio->functions[vm->virtio->count];
}

static status_t attach(struct vm *vm, struct virtio_device *device, uint32_t class_code)
{
    struct virtio_devices *devices = vm->virtio;
    status_t status = virtio_function_attach(&devices->functions[devices->count], device,
                                             class_code, devices->count);

    devices->count += status == STATUS_OK;
    return status;
}

static status_t create_rng(struct vm *vm)
{
    struct virtio_rng *rng = &vm->virtio->rng;
    struct virtio_owner owner = virtio_function_owner(next_function(vm), vm, 1);

    if (!cpu_random_find()) {
        log_warning("%s: rng is on, but this CPU has neither RDSEED nor RDRAND: it gets no rng",
                    vm->config->name);
        return STATUS_OK;
    }
    virtio_rng_init(rng, &owner, features_of(vm), cpu_random);
    return attach(vm, &rng->device, CLASS_OTHER);
}

static void print(void *context, const uint8_t *bytes, uint32_t size)
{
    struct virtio_devices *devices = context;

    for (uint32_t i = 0; i < size; i++) {
        console_put(&devices->output, (char)bytes[i]);
    }
}

static status_t create_console(struct vm *vm)
{
    struct virtio_devices *devices = vm->virtio;
    struct virtio_owner owner = virtio_function_owner(next_function(vm), vm, 2);

    devices->output.ring = allocate(CONSOLE_RING_SIZE);
    if (devices->output.ring == NULL) {
        return STATUS_NO_MEMORY;
    }
    (void)format_string(devices->stream_name, sizeof(devices->stream_name), "%s/hvc0",
                        vm->config->name);
    virtio_console_init(&devices->console, &owner, features_of(vm), print, devices);
    status_t status = attach(vm, &devices->console.device, CLASS_COMMUNICATION);
    if (status == STATUS_OK) {
        console_vms[console_count++] = vm;
    }
    return status;
}

static status_t create_disk(struct vm *vm, uint32_t index)
{
    const struct config_disk *config = &vm->config->disks[index];
    struct virtio_blk *blk = &vm->virtio->blks[index];
    struct disk *disk = &vm->virtio->disks[index];
    struct virtio_owner owner = virtio_function_owner(next_function(vm), vm, vm->config->vcpus);
    status_t status = virtio_disk_create(disk, config);

    if (status != STATUS_OK) {
        return status;
    }
    virtio_blk_init(blk, &owner, features_of(vm), vm->config->vcpus, disk,
                    virtio_disk_name(config));
    return attach(vm, &blk->device, CLASS_STORAGE);
}

/* The VM's number among the members of a network with a virtio NIC; CONFIG_MAX_MEMBERS if it is not
 * among them. */
static uint32_t find_member(const struct vm *vm, const struct network *network)
{
    const struct config_network *config = network->config;

    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->members[i] == vm->id && (config->virtio >> i & 1) != 0) {
            return i;
        }
    }
    return CONFIG_MAX_MEMBERS;
}

static bool has_nets(const struct vm *vm)
{
    for (uint32_t i = 0; i < network_count(); i++) {
        if (find_member(vm, network_get(i)) != CONFIG_MAX_MEMBERS) {
            return true;
        }
    }
    return false;
}

/* The VM's NIC in the network, if it has one there that is virtio's. */
static status_t create_net(struct vm *vm, struct network *network)
{
    struct virtio_devices *devices = vm->virtio;
    struct virtio_net *net = &devices->nets[devices->net_count];
    struct virtio_function *function = next_function(vm);
    uint32_t member = find_member(vm, network);

    if (member == CONFIG_MAX_MEMBERS) {
        return STATUS_OK;
    }
    struct virtio_owner owner =
        virtio_function_owner(function, vm, virtio_net_queues(vm->config->vcpus));
    function->network = network;
    function->member = member;
    virtio_net_init(net, &owner, features_of(vm), vm->config->vcpus, network_mac(network, member),
                    (uint16_t)network->config->mtu, network->batch);
    network_attach_net(network, member, net);
    devices->net_count++;
    return attach(vm, &net->device, CLASS_ETHERNET);
}

static status_t create(struct vm *vm)
{
    const struct config_vm *config = vm->config;
    status_t status = STATUS_OK;

    if (!config->rng && !config->hvc && config->disk_count == 0 && !has_nets(vm)) {
        return STATUS_OK;
    }
    vm->virtio = allocate(sizeof(*vm->virtio));
    if (vm->virtio == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (config->rng) {
        status = create_rng(vm);
    }
    if (status == STATUS_OK && config->hvc) {
        status = create_console(vm);
    }
    for (uint32_t i = 0; i < config->disk_count && status == STATUS_OK; i++) {
        status = create_disk(vm, i);
    }
    for (uint32_t i = 0; i < network_count() && status == STATUS_OK; i++) {
        status = create_net(vm, network_get(i));
    }
    return status;
}

status_t virtio_create_all(const struct config *config)
{
    for (uint32_t i = 0; i < config->vm_count; i++) {
        status_t status = create(vm_get(i));
        if (status != STATUS_OK) {
            log_error("%s: no room for its virtio devices: %s", config->vms[i].name,
                      status_name(status));
            return status;
        }
    }
    return STATUS_OK;
}

status_t virtio_create_overlays(struct vm *vm)
{
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < vm->config->disk_count && status == STATUS_OK; i++) {
        status =
            virtio_disk_create_overlay(&vm->virtio->disks[i], &vm->config->disks[i], &vm->memory);
    }
    return status;
}

void virtio_drop_overlays(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->config->disk_count; i++) {
        vm->virtio->disks[i].overlay = (struct disk_overlay){.blocks = 0};
    }
}

void virtio_reset_all(struct vm *vm)
{
    for (uint32_t i = 0; vm->virtio != NULL && i < vm->virtio->count; i++) {
        virtio_function_reset(&vm->virtio->functions[i]);
    }
}

void virtio_state_changed(struct vm *vm)
{
    for (uint32_t i = 0; vm->virtio != NULL && i < vm->virtio->count; i++) {
        const struct virtio_function *f = &vm->virtio->functions[i];
        if (f->network != NULL) {
            network_set_up(f->network, f->member);
        }
    }
}

bool virtio_settle(struct vm *vm)
{
    bool done = true;

    for (uint32_t i = 0; vm->virtio != NULL && i < vm->virtio->count; i++) {
        struct virtio_function *f = &vm->virtio->functions[i];
        done = (f->network == NULL || virtio_function_settle(f)) && done;
    }
    return done;
}

struct vm *virtio_console_vm(uint32_t index)
{
    return index < console_count ? console_vms[index] : NULL;
}

const char *virtio_console_name(const struct vm *vm)
{
    return vm->virtio->stream_name;
}

const struct console *virtio_console_output(const struct vm *vm)
{
    return &vm->virtio->output;
}

size_t virtio_console_input(struct vm *vm, const char *bytes, size_t size)
{
    if (!vm_is_up(vm)) {
        return size; /* nobody is there to type to */
    }
    if (vm_is_frozen(vm)) {
        return 0; /* later */
    }
    spin_lock(&vm->lock);
    size_t taken = virtio_console_type(&vm->virtio->console, bytes, (uint32_t)size);
    spin_unlock(&vm->lock);
    return taken;
}

static const char *state_of(const struct virtio_device *device)
{
    if ((device->status & VIRTIO_NEEDS_RESET) != 0) {
        return "needs_reset";
    }
    if ((device->status & VIRTIO_FAILED) != 0) {
        return "failed";
    }
    return (device->status & VIRTIO_DRIVER_OK) != 0 ? "ready" : "no_driver";
}

struct virtio_function *virtio_function_of(const struct vm *vm, uint32_t index)
{
    return vm->virtio != NULL && index < vm->virtio->count ? &vm->virtio->functions[index] : NULL;
}

int virtio_written_disk(const struct vm *vm)
{
    for (uint32_t i = 0; vm->virtio != NULL && i < vm->config->disk_count; i++) {
        const struct disk *disk = &vm->virtio->disks[i];
        if (disk->mode == DISK_READ_WRITE || disk->overlay.held != 0) {
            return (int)i;
        }
    }
    return -1;
}

struct disk *virtio_disk_of(const struct vm *vm, uint32_t index)
{
    return vm->virtio != NULL && index < vm->config->disk_count ? &vm->virtio->disks[index] : NULL;
}

bool virtio_summarize(struct vm *vm, uint32_t index, struct virtio_summary *summary)
{
    if (vm->virtio == NULL || index >= vm->virtio->count) {
        return false;
    }
    const struct virtio_device *device = vm->virtio->functions[index].pci.device;
    spin_lock(&vm->lock);
    *summary = (struct virtio_summary){.name = device->model->name,
                                       .state = state_of(device),
                                       .notifications = device->notifications,
                                       .chains = device->chains,
                                       .interrupts = device->interrupts,
                                       .failures = device->failures};
    spin_unlock(&vm->lock);
    return true;
}

void virtio_summarize_disk(struct vm *vm, uint32_t index, struct virtio_disk_summary *summary)
{
    const struct disk *disk = &vm->virtio->disks[index];

    spin_lock(&vm->lock);
    *summary = (struct virtio_disk_summary){.blocks = disk->overlay.blocks,
                                            .used = disk->overlay.used,
                                            .errors = vm->virtio->blks[index].errors,
                                            .refused = disk->refused};
    spin_unlock(&vm->lock);
}
