/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi/snapshot.h"
#include "lib/string.h"
#include "lib/word_hash.h"
#include "tests/hvctl/fake_core.h"
#include "virtio/disk_runs.h"

#define WORDS_OF_PAGE 512u
#define PAGES         (FAKE_WORDS / WORDS_OF_PAGE)

static const char *const states[] = {"running", "paused", "restoring", "absent", "ending"};

static void print_status(struct fake_vm *vm, format_sink_t out, void *context)
{
    if (vm->state == FAKE_ENDING && vm->ending-- == 0) {
        vm->state = FAKE_ABSENT;
    }
    format_to(out, context,
              "vm\tstate\tmemory\tstate_size\ttracking\tharvests\tpaused\thz\tdisks\thindrance\n"
              "%s\t%s\t%llu\t0\t%llu\t%llu\t5000\t1000000\t1\t%s%s\n",
              vm->name, states[vm->state], (unsigned long long)sizeof(vm->memory),
              (unsigned long long)vm->tracking, (unsigned long long)vm->harvests,
              vm->hindered ? vm->name : "-", vm->hindered ? " has what no snapshot carries" : "");
}

static struct disk *disk_of(struct fake_vm *vm)
{
    if (vm->disk.image == NULL) {
        vm->disk = (struct disk){
            .mode = DISK_OVERLAY,
            .image = vm->image,
            .size = sizeof(vm->image) - DISK_SECTOR,
            .overlay = {.map = vm->map, .pool = vm->pool, .blocks = FAKE_POOL},
        };
    }
    return &vm->disk;
}

static void write_word(struct fake_vm *vm, uint64_t block, uint64_t word)
{
    (void)!disk_write(disk_of(vm), block % FAKE_BLOCKS * DISK_BLOCK, &word, sizeof(word));
}

/* As often as it is asked it has summed a bit more of the image up. */
static status_t print_disks(struct fake_vm *vm, format_sink_t out, void *context)
{
    const struct disk *disk = disk_of(vm);
    uint64_t left = disk->size - vm->summed_up, part = left < 40000 ? left : 40000;

    vm->summed_up += part;
    format_to(out, context,
              "disk\timage\tmode\tsize\theld\tsum\tleft\tcontent\n"
              "0\tfake.img\t%s\t%llu\t%llu\t%016llx\t%llu\t%s\n",
              disk->mode == DISK_READ_WRITE ? "rw" : "overlay", (unsigned long long)disk->size,
              (unsigned long long)disk_held(disk),
              (unsigned long long)word_hash(WORD_HASH_BEGIN, vm->image, vm->summed_up),
              (unsigned long long)(left - part), disk->half ? "half" : "whole");
    return STATUS_OK;
}

static uint64_t dirty_page(const struct fake_vm *vm)
{
    return vm->harvests % PAGES;
}

/* One page is another with each harvest. */
static void harvest(struct fake_vm *vm, format_sink_t out, void *context)
{
    vm->harvests++;
    vm->memory[dirty_page(vm) * WORDS_OF_PAGE + 7] += vm->state == FAKE_RUNNING;
    if (vm->state == FAKE_RUNNING) {
        if (vm->churns) {
            (void)!disk_zero(disk_of(vm), (5 + 3 * vm->harvests) * DISK_BLOCK, DISK_BLOCK);
        }
        write_word(vm, vm->harvests % 3, vm->harvests);
    }
    format_to(out, context, "vm\tharvest\tpages\tblocks\n%s\t%llu\t1\t%llu\n", vm->name,
              (unsigned long long)vm->harvests,
              (unsigned long long)disk_harvest(disk_of(vm), 0, UINT64_MAX));
}

static status_t track(const struct fake_core *core, struct fake_vm *vm, format_sink_t out,
                      void *context)
{
    if (vm->tracking != 0) {
        format_to(out, context, "%s is tracked already\n", vm->name);
        return STATUS_BUSY;
    }
    vm->tracking = core->executions;
    vm->harvests = 0;
    return STATUS_OK;
}

/* Takes a VM from a state to another. */
static status_t change(struct fake_vm *vm, unsigned from, unsigned to, format_sink_t out,
                       void *context)
{
    if (vm->state != from) {
        format_to(out, context, "%s is %s\n", vm->name, states[vm->state]);
        return STATUS_BUSY;
    }
    vm->state = to;
    vm->saved = false;
    return STATUS_OK;
}

static status_t save(struct fake_vm *vm)
{
    for (unsigned i = 0; i < FAKE_STATE_WORDS; i++) {
        vm->words[i] = i * vm->memory[3];
    }
    vm->words[2] = disk_held(disk_of(vm));
    vm->saved = true;
    vm->late = true;
    return STATUS_OK;
}

static status_t check(const struct fake_vm *vm, format_sink_t out, void *context)
{
    if (vm->words[255] != 85 * vm->words[3]) {
        format_to(out, context, "the state is of no such VM\n");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

/* Its state tells something of its memory, by which they are seen to be each other's. */
static status_t finish(struct fake_vm *vm, format_sink_t out, void *context)
{
    bool fits = vm->words[1] == vm->memory[3] && vm->words[255] == 255 * vm->memory[3] &&
                vm->words[2] == disk_of(vm)->overlay.held && !vm->refuses;

    vm->refuses = false;
    disk_of(vm)->half = disk_of(vm)->half && !fits;
    vm->state = fits ? FAKE_PAUSED : FAKE_ABSENT;
    if (!fits) {
        format_to(out, context, "the state is of another memory or disk\n");
    }
    return fits ? STATUS_OK : STATUS_INVALID;
}

static status_t fill(struct fake_vm *vm)
{
    for (unsigned i = 0; i < FAKE_WORDS; i++) {
        vm->memory[i] = i % 3 == 0 ? (i + 1) * 0x123456789abcdefull : i / 100;
    }
    memset(vm->image, 0x5a, sizeof(vm->image));
    disk_empty(disk_of(vm));
    for (unsigned i = 0; i < FAKE_POOL - 3; i++) {
        write_word(vm, 5 + 3 * i, i);
    }
    return disk_zero(disk_of(vm), 5 * DISK_BLOCK, 2 * DISK_BLOCK);
}

static status_t print_sum(struct fake_vm *vm, format_sink_t out, void *context)
{
    uint64_t sum = 0;
    uint8_t block[DISK_SECTOR];

    for (uint64_t at = 0; at < disk_of(vm)->size; at += sizeof(block)) {
        disk_read(disk_of(vm), at, block, sizeof(block));
        sum = word_hash(sum, block, sizeof(block));
    }

    for (unsigned i = 0; i < FAKE_WORDS; i++) {
        sum = sum * 31 + vm->memory[i];
    }
    format_to(out, context, "%llx\n", (unsigned long long)sum);
    return STATUS_OK;
}

static bool is_disk(const struct monitor_piece *piece)
{
    return piece->section == POSTERN_SNAPSHOT_DISK;
}

/* Whether there is such a section now, with the piece in it. */
static status_t check_piece(struct fake_vm *vm, bool store, struct monitor_piece *piece)
{
    bool state = piece->section == POSTERN_SNAPSHOT_STATE;

    if (piece->section > POSTERN_SNAPSHOT_DISK) {
        return STATUS_INVALID;
    }
    if (store ? vm->state != FAKE_RESTORING : (state && !vm->saved) || vm->state == FAKE_ABSENT) {
        return STATUS_BUSY;
    }
    piece->size = state            ? sizeof(vm->words)
                  : is_disk(piece) ? disk_of(vm)->size
                                   : sizeof(vm->memory);
    return piece->offset % WORD_RUNS_WORD != 0 || piece->offset > piece->size ? STATUS_INVALID
                                                                              : STATUS_OK;
}

static uint64_t *words_of(struct fake_vm *vm, const struct monitor_piece *piece)
{
    return piece->section == POSTERN_SNAPSHOT_RAM ? vm->memory : vm->words;
}

static void tell_words(struct fake_vm *vm, const struct monitor_piece *piece,
                       struct word_runs_writer *writer)
{
    bool only_dirty = (piece->flags & POSTERN_SNAPSHOT_DIRTY) != 0;

    for (size_t at = piece->offset / WORD_RUNS_WORD; at < piece->size / WORD_RUNS_WORD;) {
        size_t wanted = WORDS_OF_PAGE - at % WORDS_OF_PAGE, put;
        if (wanted > piece->size / WORD_RUNS_WORD - at) {
            wanted = piece->size / WORD_RUNS_WORD - at;
        }
        if (only_dirty && at / WORDS_OF_PAGE != dirty_page(vm)) {
            put = word_runs_skip(writer, (uint32_t)wanted) ? wanted : 0;
        } else {
            put = word_runs_put(writer, words_of(vm, piece) + at, wanted);
        }
        if (put < wanted) {
            break;
        }
        at += wanted;
    }
}

status_t fake_vm_fetch(void *context, unsigned vm, struct monitor_piece *piece, uint8_t *bytes,
                       size_t *size)
{
    static const struct word_runs_limits limits = {POSTERN_SNAPSHOT_PIECE_MAX,
                                                   POSTERN_SNAPSHOT_SKIP_MAX};
    struct fake_core *core = context;
    struct word_runs_writer writer;
    struct fake_vm *of = fake_vm_of(core, vm % FAKE_VMS);
    status_t status = check_piece(of, false, piece);

    if (status != STATUS_OK) {
        return status;
    }
    word_runs_begin(&writer, bytes, *size);
    if (is_disk(piece)) {
        disk_runs_tell(disk_of(of), piece->offset, (piece->flags & POSTERN_SNAPSHOT_DIRTY) != 0,
                       &limits, &writer);
    } else {
        tell_words(of, piece, &writer);
    }
    *size = writer.used;
    piece->covered = writer.words * WORD_RUNS_WORD;
    return STATUS_OK;
}

status_t fake_vm_store(void *context, unsigned vm, struct monitor_piece *piece,
                       const uint8_t *bytes, size_t size)
{
    struct fake_core *core = context;
    struct fake_vm *of = fake_vm_of(core, vm % FAKE_VMS);
    status_t status = check_piece(of, true, piece);
    size_t told = 0;

    if (status != STATUS_OK) {
        return status;
    }
    if (is_disk(piece)) {
        struct disk *disk = disk_of(of);
        status = disk_runs_take(disk, piece->offset, piece->size - piece->offset, bytes, size,
                                &piece->covered);
        disk->half = disk->half || (disk->mode == DISK_READ_WRITE && disk->overlay.held != 0);
        return status;
    }
    size_t first = (size_t)piece->offset / WORD_RUNS_WORD;
    if (!word_runs_read(bytes, size, words_of(of, piece) + first,
                        (size_t)piece->size / WORD_RUNS_WORD - first, &told)) {
        return STATUS_INVALID;
    }
    piece->covered = told * WORD_RUNS_WORD;
    return STATUS_OK;
}

/* A piece of at most so many bytes of tokens for each command: there are many. */
#define CLONE_TOKENS 1000u

static status_t carry(struct fake_core *core, struct monitor_piece *piece, format_sink_t out,
                      void *context)
{
    struct fake_vm *from = fake_vm_of(core, 0);
    struct monitor_piece stored = {.section = piece->section, .offset = piece->offset};
    uint8_t tokens[CLONE_TOKENS];
    size_t size = sizeof(tokens);

    if (piece->section == POSTERN_SNAPSHOT_STATE && from->late) {
        from->late = false;
        format_to(out, context, "covered\tsize\tleft\troom\n0\t0\tlate\tenough\n");
        return STATUS_OK;
    }
    status_t status = fake_vm_fetch(core, 0, piece, tokens, &size);
    if (status == STATUS_OK && piece->covered != 0) {
        status = fake_vm_store(core, 1, &stored, tokens, size);
    }
    if (status != STATUS_OK && status != STATUS_NO_MEMORY) {
        format_to(out, context, "section %u at %llu: %s\n", piece->section,
                  (unsigned long long)piece->offset, status_name(status));
        return status;
    }
    format_to(out, context, "covered\tsize\tleft\troom\n%llu\t%llu\t%s\t%s\n",
              (unsigned long long)piece->covered, (unsigned long long)piece->size,
              piece->offset + piece->covered < piece->size ? "more" : "none",
              status == STATUS_OK ? "enough" : "short");
    return STATUS_OK;
}

/* Cuts a number off. */
static uint64_t cut_number(const char **text)
{
    uint64_t value = 0;

    for (; **text >= '0' && **text <= '9'; ++*text) {
        value = value * 10 + (uint64_t)(**text - '0');
    }
    *text += **text == ' ' ? 1 : 0;
    return value;
}

/* Of alpha into beta alone: "alpha beta [SECTION OFFSET [dirty]]". */
static status_t clone(struct fake_core *core, const char *what, format_sink_t out, void *context)
{
    static const char both[] = "alpha beta";
    struct monitor_piece piece = {0};

    if (strncmp(what, both, sizeof(both) - 1) != 0) {
        format_to(out, context, "%s: not these\n", what);
        return STATUS_INVALID;
    }
    what += sizeof(both) - 1;
    if (*what == '\0') {
        print_status(fake_vm_of(core, 1), out, context);
        return STATUS_OK;
    }
    what++;
    piece.section = (uint8_t)cut_number(&what);
    piece.offset = cut_number(&what);
    piece.flags = strcmp(what, "dirty") == 0 ? POSTERN_SNAPSHOT_DIRTY : 0;
    return carry(core, &piece, out, context);
}

/* Cuts a VM's name out of a command line, wherever it is; without one it is alpha. */
static struct fake_vm *cut_name(struct fake_core *core, const char *line, char *rest, size_t size)
{
    static const char *const names[FAKE_VMS] = {" alpha", " beta"};

    (void)string_copy(rest, size, line);
    for (unsigned i = 0; i < FAKE_VMS; i++) {
        size_t length = strlen(names[i]);
        for (size_t at = 0; at + length <= strlen(line); at++) {
            char behind = line[at + length];
            if (strncmp(line + at, names[i], length) == 0 && (behind == ' ' || behind == '\0')) {
                (void)string_copy(rest + at, size - at, line + at + length);
                return fake_vm_of(core, i);
            }
        }
    }
    return fake_vm_of(core, 0);
}

struct fake_vm *fake_vm_of(struct fake_core *core, unsigned index)
{
    static const char *const names[FAKE_VMS] = {"alpha", "beta"};
    struct fake_vm *vm = &core->vms[index];

    if (vm->name == NULL) {
        vm->name = names[index];
        vm->state = index == 0 ? vm->state : FAKE_ABSENT;
    }
    return vm;
}

bool fake_vm_execute(struct fake_core *core, const char *whole, format_sink_t out,
                     void *out_context, status_t *status)
{
    char line[MONITOR_LINE_SIZE];

    *status = STATUS_OK;
    if (strncmp(whole, "clone ", 6) == 0) {
        *status = core->earlier ? STATUS_NOT_FOUND : clone(core, whole + 6, out, out_context);
        return true;
    }
    struct fake_vm *vm = cut_name(core, whole, line, sizeof(line));
    if (strcmp(line, "snapshot") == 0) {
        print_status(vm, out, out_context);
    } else if (strcmp(line, "snapshot disks") == 0) {
        *status = print_disks(vm, out, out_context);
    } else if (strcmp(line, "snapshot save disks") == 0) {
        *status = save(vm);
    } else if (strcmp(line, "dirty start") == 0) {
        *status = track(core, vm, out, out_context);
    } else if (strcmp(line, "dirty stop") == 0) {
        vm->tracking = 0;
    } else if (strcmp(line, "dirty") == 0) {
        harvest(vm, out, out_context);
    } else if (strcmp(line, "pause") == 0) {
        *status = change(vm, FAKE_RUNNING, FAKE_PAUSED, out, out_context);
    } else if (strcmp(line, "resume") == 0) {
        *status = change(vm, FAKE_PAUSED, FAKE_RUNNING, out, out_context);
    } else if (strcmp(line, "destroy --yes") == 0) {
        vm->state = vm == fake_vm_of(core, 1) ? FAKE_ENDING : FAKE_ABSENT;
        vm->ending = 3;
    } else if (strcmp(line, "restore begin") == 0) {
        *status = change(vm, FAKE_ABSENT, FAKE_RESTORING, out, out_context);
        disk_empty(disk_of(vm));
        print_status(vm, out, out_context);
    } else if (strcmp(line, "restore check") == 0) {
        *status = check(vm, out, out_context);
    } else if (strcmp(line, "restore finish") == 0) {
        *status = finish(vm, out, out_context);
    } else if (strcmp(line, "restore drop") == 0) {
        *status = change(vm, FAKE_RESTORING, FAKE_ABSENT, out, out_context);
    } else if (strcmp(line, "fill") == 0) {
        *status = fill(vm);
    } else if (strcmp(line, "other image") == 0) {
        vm->image[FAKE_BLOCKS * DISK_BLOCK / 2] ^= 1;
        vm->summed_up = 0;
    } else if (strcmp(line, "small pool") == 0) {
        disk_empty(disk_of(vm));
        disk_of(vm)->overlay.blocks = 2;
    } else if (strcmp(line, "rw disk") == 0) {
        disk_of(vm)->mode = DISK_READ_WRITE;
    } else if (strcmp(line, "refuse") == 0) {
        vm->refuses = true;
    } else if (strcmp(line, "hinder") == 0) {
        vm->hindered = true;
    } else if (strcmp(line, "full pool") == 0) {
        disk_of(vm)->overlay.blocks = disk_of(vm)->overlay.used;
        vm->churns = true;
    } else if (strcmp(line, "earlier") == 0) {
        core->earlier = true;
    } else if (strcmp(line, "sum") == 0) {
        *status = print_sum(vm, out, out_context);
    } else {
        return false;
    }
    return true;
}
