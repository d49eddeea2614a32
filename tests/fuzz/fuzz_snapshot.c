/* SPDX-License-Identifier: BSD-2-Clause */
/* What a restore is given: tokens of memory and of a disk, rows of records, and what is in a
 * vCPU's, a NIC's, the gate's, #VE's and a view's. */
#include "tests/fuzz/fuzz.h"

#include "abi/pci.h"
#include "core/port_image.h"
#include "core/vcpu_image.h"
#include "core/view_image.h"
#include "lib/bits.h"
#include "virtio/disk_runs.h"

#define WORDS_MAX 256u
#define BLOCKS    4u
#define DISK_SIZE ((BLOCKS - 1) * DISK_BLOCK + DISK_SECTOR)

/* Tokens that are read say what they say, and again when they are written. */
static void tokens(struct fuzz_input input)
{
    size_t room = fuzz_byte(&input), told = 0, again = 0;
    uint64_t *words = calloc(room + 1, sizeof(*words)), back[WORDS_MAX] = {0};
    uint8_t *bytes = fuzz_copy(input.at, input.left), *out = malloc(12 * WORDS_MAX);
    struct word_runs_writer writer;

    FUZZ_CHECK(words != NULL && out != NULL);
    bool good = word_runs_read(bytes, input.left, words, room, &told);
    FUZZ_CHECK(told <= room);
    if (good && told != 0) {
        word_runs_begin(&writer, out, 12 * WORDS_MAX);
        FUZZ_CHECK(word_runs_put(&writer, words, told) == told);
        FUZZ_CHECK(word_runs_read(out, writer.used, back, WORDS_MAX, &again) && again == told);
        FUZZ_CHECK(memcmp(back, words, 8 * told) == 0);
    }
    free(words);
    free(bytes);
    free(out);
}

/* What each image is filled with. */
#define IMAGE_BYTE 0x77

static void make_disk(struct disk *disk, enum disk_mode mode, uint32_t pool)
{
    uint8_t *image = malloc(DISK_SIZE);

    FUZZ_CHECK(image != NULL);
    memset(image, IMAGE_BYTE, DISK_SIZE);
    *disk = (struct disk){.mode = mode, .image = image, .size = DISK_SIZE};
    disk->overlay = (struct disk_overlay){.map = calloc(BLOCKS, sizeof(uint32_t)),
                                          .pool = malloc((size_t)pool * DISK_BLOCK),
                                          .blocks = pool};
    FUZZ_CHECK(disk->overlay.map != NULL && (disk->overlay.pool != NULL || pool == 0));
}

static void free_disk(struct disk *disk)
{
    uint8_t bytes[DISK_SIZE], image[DISK_SIZE];

    memset(image, IMAGE_BYTE, DISK_SIZE);
    disk_empty(disk);
    disk_read(disk, 0, bytes, DISK_SIZE);
    FUZZ_CHECK(disk->overlay.used == 0 && disk->overlay.held == 0);
    FUZZ_CHECK(disk->mode != DISK_OVERLAY || memcmp(bytes, image, DISK_SIZE) == 0);
    free(disk->image);
    free(disk->overlay.map);
    free(disk->overlay.pool);
}

/* What a disk takes reads as the tokens say, and is told to another one. */
static void disk_tokens(struct fuzz_input input, enum disk_mode mode)
{
    static const struct word_runs_limits limits = {DISK_SIZE, DISK_SIZE};
    uint8_t *bytes, expected[DISK_SIZE], found[DISK_SIZE], tokens[2 * DISK_SIZE];
    struct word_runs_writer writer;
    struct disk disk, other;
    uint64_t covered;
    size_t told;

    make_disk(&disk, mode, fuzz_byte(&input) % (BLOCKS + 1));
    make_disk(&other, mode, BLOCKS);
    uint64_t at = fuzz_number(&input, 2) * 8 % (DISK_SIZE + 8);
    memcpy(expected, disk.image, DISK_SIZE);
    bytes = fuzz_copy(input.at, input.left);
    status_t status = disk_runs_take(&disk, at, DISK_SIZE - at, bytes, input.left, &covered);
    FUZZ_CHECK(covered <= DISK_SIZE - at && disk.overlay.used <= disk.overlay.held &&
               disk.overlay.held <= BLOCKS);
    if (status == STATUS_OK) {
        FUZZ_CHECK(word_runs_read(bytes, input.left, expected + at, (DISK_SIZE - at) / 8, &told));
        disk_read(&disk, 0, found, DISK_SIZE);
        FUZZ_CHECK(8 * told == covered && memcmp(found, expected, DISK_SIZE) == 0);
        word_runs_begin(&writer, tokens, sizeof(tokens));
        disk_runs_tell(&disk, 0, false, &limits, &writer);
        FUZZ_CHECK(writer.words == DISK_SIZE / 8 &&
                   disk_runs_take(&other, 0, DISK_SIZE, tokens, writer.used, &covered) ==
                       STATUS_OK);
        disk_read(&other, 0, found, DISK_SIZE);
        FUZZ_CHECK(memcmp(found, expected, DISK_SIZE) == 0);
        FUZZ_CHECK(other.overlay.held == disk_held(&disk) &&
                   other.overlay.used <= disk.overlay.used);
    }
    free(bytes);
    free_disk(&disk);
    free_disk(&other);
}

static void judge(const void *bytes, size_t size, uint32_t index)
{
    const struct snapshot_wanted vcpu = {SNAPSHOT_VCPU, VCPU_IMAGE_VERSION, index,
                                         sizeof(struct vcpu_image)};
    const struct snapshot_wanted area = {SNAPSHOT_XSAVE, VCPU_XSAVE_VERSION, index, 832};
    const struct vcpu_image_limits limits = {.id = index, .xcr0_allowed = 0xe7};
    char error[SNAPSHOT_ERROR_SIZE];

    const struct vcpu_image *image = snapshot_find(bytes, size, &vcpu, error);
    if (image != NULL && vcpu_image_is_valid(image, &limits, error)) {
        FUZZ_CHECK(image->state <= VCPU_IMAGE_HALTED && (image->xcr0 & ~limits.xcr0_allowed) == 0);
    }
    const void *xsave = snapshot_find(bytes, size, &area, error);
    if (xsave != NULL) {
        (void)!vcpu_xsave_is_valid(xsave, 832, &limits, error);
    }
}

/* What is taken of the gate can be placed: pages of RAM, each once. */
static void judge_gates(const void *bytes, size_t size)
{
    const struct snapshot_wanted wanted = {SNAPSHOT_GATES, GATES_IMAGE_VERSION, 0,
                                           sizeof(struct gates_image)};
    char error[SNAPSHOT_ERROR_SIZE];
    const struct gates_image *image = snapshot_find(bytes, size, &wanted, error);
    uint64_t placed = 0;

    if (image == NULL || !gates_image_fits(image, 0, 3, 64 * PAGE_SIZE, error)) {
        return;
    }
    for (uint32_t i = 0; i < image->count; i++) {
        uint64_t gpa = image->placements[i].gpa;
        FUZZ_CHECK(gpa % PAGE_SIZE == 0 && gpa / PAGE_SIZE < 64 && image->placements[i].page < 3);
        FUZZ_CHECK((placed & BIT(gpa / PAGE_SIZE)) == 0);
        placed |= BIT(gpa / PAGE_SIZE);
    }
}

static void judge_port(const void *bytes, size_t size)
{
    static const struct port_image ours = {
        .section = 65536, .device = 1, .kind = POSTERN_PCI_NIC, .queues = 1};
    const struct snapshot_wanted wanted = {SNAPSHOT_PORT, PORT_IMAGE_VERSION, 0, sizeof(ours)};
    char error[SNAPSHOT_ERROR_SIZE];

    const struct port_image *theirs = snapshot_find(bytes, size, &wanted, error);
    if (theirs != NULL && port_image_fits(theirs, &ours, 0, "net0", error)) {
        FUZZ_CHECK(memcmp(theirs, &ours, sizeof(ours)) == 0);
    }
}

/* What is taken of views can be made: numbers without a gap, each of a port of its own that can
 * have one, open to vCPUs that there are; and areas are pages of RAM. */
static void judge_views(const void *bytes, size_t size)
{
    static const struct view_image_limits limits = {
        .ram_size = 64 * PAGE_SIZE, .vcpus = 3, .ports = 4, .with_views = 0xb};
    uint32_t count = snapshot_count(bytes, size, SNAPSHOT_VIEW), areas = 0, seen = 0;
    char error[SNAPSHOT_ERROR_SIZE];

    if (!view_images_fit(bytes, size, &limits, error)) {
        return;
    }
    FUZZ_CHECK(count <= limits.ports);
    for (uint32_t view = 1; view <= count; view++) {
        const struct view_image *image = view_image_find(bytes, size, view);
        FUZZ_CHECK(image != NULL && image->vcpus < 8 && image->port < limits.ports);
        FUZZ_CHECK((limits.with_views & ~seen & BIT32(image->port)) != 0);
        seen |= BIT32(image->port);
    }
    for (uint32_t vcpu = 0; vcpu < limits.vcpus; vcpu++) {
        const struct ve_image *image = ve_image_find(bytes, size, vcpu);
        FUZZ_CHECK(image == NULL || (image->gpa % PAGE_SIZE == 0 && image->gpa < limits.ram_size));
        areas += image != NULL;
    }
    FUZZ_CHECK(areas == snapshot_count(bytes, size, SNAPSHOT_VE));
}

static void records(struct fuzz_input input)
{
    uint8_t *bytes = fuzz_copy(input.at, input.left);
    char error[SNAPSHOT_ERROR_SIZE];

    if (snapshot_is_valid(bytes, input.left, error)) {
        judge(bytes, input.left, 0);
        judge(bytes, input.left, 1);
        judge_port(bytes, input.left);
        judge_gates(bytes, input.left);
        judge_views(bytes, input.left);
        FUZZ_CHECK(snapshot_count(bytes, input.left, SNAPSHOT_VCPU) <= input.left / 16);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tokens((struct fuzz_input){data, size});
    disk_tokens((struct fuzz_input){data, size}, DISK_OVERLAY);
    disk_tokens((struct fuzz_input){data, size}, DISK_READ_WRITE);
    records((struct fuzz_input){data, size});
    return 0;
}
