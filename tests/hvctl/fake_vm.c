/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi/snapshot.h"
#include "lib/string.h"
#include "lib/word_runs.h"
#include "tests/hvctl/fake_core.h"

#define WORDS_OF_PAGE 512u
#define PAGES         (FAKE_WORDS / WORDS_OF_PAGE)

static const char *const states[] = {"running", "paused", "restoring", "absent"};

static void print_status(const struct fake_vm *vm, format_sink_t out, void *context)
{
    format_to(out, context,
              "vm\tstate\tmemory\tstate_size\ttracking\tharvests\tpaused\thz\n"
              "alpha\t%s\t%llu\t0\t%llu\t%llu\t5000\t1000000\n",
              states[vm->state], (unsigned long long)sizeof(vm->memory),
              (unsigned long long)vm->tracking, (unsigned long long)vm->harvests);
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
    format_to(out, context, "vm\tharvest\tpages\nalpha\t%llu\t1\n",
              (unsigned long long)vm->harvests);
}

/* Takes alpha from a state to another. */
static status_t change(struct fake_vm *vm, unsigned from, unsigned to, format_sink_t out,
                       void *context)
{
    if (vm->state != from) {
        format_to(out, context, "alpha is %s\n", states[vm->state]);
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
    vm->saved = true;
    return STATUS_OK;
}

/* Its state tells something of its memory, by which they are seen to be each other's. */
static status_t finish(struct fake_vm *vm, format_sink_t out, void *context)
{
    bool fits = vm->words[1] == vm->memory[3] && vm->words[255] == 255 * vm->memory[3];

    vm->state = fits ? FAKE_PAUSED : FAKE_ABSENT;
    if (!fits) {
        format_to(out, context, "the state is of another memory\n");
    }
    return fits ? STATUS_OK : STATUS_INVALID;
}

static status_t fill(struct fake_vm *vm)
{
    for (unsigned i = 0; i < FAKE_WORDS; i++) {
        vm->memory[i] = i % 3 == 0 ? (i + 1) * 0x123456789abcdefull : i / 100;
    }
    return STATUS_OK;
}

static status_t print_sum(const struct fake_vm *vm, format_sink_t out, void *context)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < FAKE_WORDS; i++) {
        sum = sum * 31 + vm->memory[i];
    }
    format_to(out, context, "%llx\n", (unsigned long long)sum);
    return STATUS_OK;
}

bool fake_vm_execute(struct fake_core *core, const char *line, format_sink_t out, void *out_context,
                     status_t *status)
{
    struct fake_vm *vm = &core->vm;

    *status = STATUS_OK;
    if (strcmp(line, "snapshot alpha") == 0) {
        print_status(vm, out, out_context);
    } else if (strcmp(line, "snapshot alpha save") == 0) {
        *status = save(vm);
    } else if (strcmp(line, "dirty alpha start") == 0) {
        vm->tracking = core->executions;
        vm->harvests = 0;
    } else if (strcmp(line, "dirty alpha stop") == 0) {
        vm->tracking = 0;
    } else if (strcmp(line, "dirty alpha") == 0) {
        harvest(vm, out, out_context);
    } else if (strcmp(line, "pause alpha") == 0) {
        *status = change(vm, FAKE_RUNNING, FAKE_PAUSED, out, out_context);
    } else if (strcmp(line, "resume alpha") == 0) {
        *status = change(vm, FAKE_PAUSED, FAKE_RUNNING, out, out_context);
    } else if (strcmp(line, "destroy alpha --yes") == 0) {
        vm->state = FAKE_ABSENT;
    } else if (strcmp(line, "restore alpha begin") == 0) {
        *status = change(vm, FAKE_ABSENT, FAKE_RESTORING, out, out_context);
        print_status(vm, out, out_context);
    } else if (strcmp(line, "restore alpha finish") == 0) {
        *status = finish(vm, out, out_context);
    } else if (strcmp(line, "restore alpha drop") == 0) {
        *status = change(vm, FAKE_RESTORING, FAKE_ABSENT, out, out_context);
    } else if (strcmp(line, "fill") == 0) {
        *status = fill(vm);
    } else if (strcmp(line, "sum") == 0) {
        *status = print_sum(vm, out, out_context);
    } else {
        return false;
    }
    return true;
}

/* The section; NULL, and `*status` says why not. */
static uint64_t *find_section(struct fake_vm *vm, unsigned index, bool store,
                              struct monitor_piece *piece, status_t *status)
{
    bool ram = piece->section == POSTERN_SNAPSHOT_RAM;

    *status = STATUS_BUSY;
    if (index != 0 ||
        (store ? vm->state != FAKE_RESTORING : (!ram && !vm->saved) || vm->state == FAKE_ABSENT)) {
        return NULL;
    }
    piece->size = ram ? sizeof(vm->memory) : sizeof(vm->words);
    *status = STATUS_INVALID;
    if (piece->section > POSTERN_SNAPSHOT_STATE || piece->offset % WORD_RUNS_WORD != 0 ||
        piece->offset > piece->size) {
        return NULL;
    }
    *status = STATUS_OK;
    return ram ? vm->memory : vm->words;
}

status_t fake_vm_fetch(void *context, unsigned vm, struct monitor_piece *piece, uint8_t *bytes,
                       size_t *size)
{
    struct fake_core *core = context;
    struct word_runs_writer writer;
    bool only_dirty = (piece->flags & POSTERN_SNAPSHOT_DIRTY) != 0;
    status_t status;
    const uint64_t *words = find_section(&core->vm, vm, false, piece, &status);

    if (words == NULL && piece->section > POSTERN_SNAPSHOT_STATE) {
        return STATUS_INVALID;
    }
    if (words == NULL) {
        return status;
    }
    word_runs_begin(&writer, bytes, *size);
    for (size_t at = piece->offset / WORD_RUNS_WORD; at < piece->size / WORD_RUNS_WORD;) {
        size_t wanted = WORDS_OF_PAGE - at % WORDS_OF_PAGE, put;
        if (wanted > piece->size / WORD_RUNS_WORD - at) {
            wanted = piece->size / WORD_RUNS_WORD - at;
        }
        if (only_dirty && at / WORDS_OF_PAGE != dirty_page(&core->vm)) {
            put = word_runs_skip(&writer, (uint32_t)wanted) ? wanted : 0;
        } else {
            put = word_runs_put(&writer, words + at, wanted);
        }
        if (put < wanted) {
            break;
        }
        at += wanted;
    }
    *size = writer.used;
    piece->covered = writer.words * WORD_RUNS_WORD;
    return STATUS_OK;
}

status_t fake_vm_store(void *context, unsigned vm, struct monitor_piece *piece,
                       const uint8_t *bytes, size_t size)
{
    struct fake_core *core = context;
    status_t status;
    uint64_t *words = find_section(&core->vm, vm, true, piece, &status);
    size_t told = 0;

    if (words == NULL) {
        return status;
    }
    size_t first = (size_t)piece->offset / WORD_RUNS_WORD;
    if (!word_runs_read(bytes, size, words + first, (size_t)piece->size / WORD_RUNS_WORD - first,
                        &told)) {
        return STATUS_INVALID;
    }
    piece->covered = told * WORD_RUNS_WORD;
    return STATUS_OK;
}
