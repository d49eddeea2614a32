/* SPDX-License-Identifier: BSD-2-Clause */
/* From one VM into another: how far one call goes, and what is said of what cannot be. What is
 * fetched and stored is made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/snapshot_clone.h"
#include "lib/word_runs.h"

#define SIZE  MIB(40)
#define STATE KIB(3)

/* What a section of the source consists of, and how far the target is. */
static struct {
    struct config_vm config[2];
    struct vm vms[2]; /* from, to */
    bool skips;       /* pages are skipped, not told */
    uint64_t stored;  /* bytes, one piece behind the other */
    unsigned fetches, stores;
    bool saved;
    status_t fetched, taken; /* what they answer */
} world;

bool snapshot_is_saved(const struct vm *vm)
{
    return vm == &world.vms[0] && world.saved;
}

const char *vm_state_name(const struct vm *vm)
{
    return vm->vcpu_count == 0 ? "absent" : "running";
}

/* A fetch's own limits: so much is looked at, or skipped, at once; a state is told in small parts.
 */
status_t snapshot_fetch(struct vm *vm, struct snapshot_piece *piece, uint8_t *tokens, size_t room,
                        size_t *used)
{
    uint64_t most = world.skips ? POSTERN_SNAPSHOT_SKIP_MAX : POSTERN_SNAPSHOT_PIECE_MAX;

    assert_ptr_equal(vm, &world.vms[0]);
    assert_true(tokens != NULL && room >= KIB(16));
    world.fetches++;
    *used = 4;
    piece->size = piece->section == POSTERN_SNAPSHOT_STATE ? STATE : SIZE;
    piece->covered = piece->size - piece->offset;
    piece->covered = piece->covered < most ? piece->covered : most;
    if (piece->section == POSTERN_SNAPSHOT_STATE && piece->covered > KIB(1)) {
        piece->covered = KIB(1);
    }
    return world.fetched;
}

status_t snapshot_store(struct vm *vm, struct snapshot_piece *piece, const uint8_t *tokens,
                        size_t size)
{
    assert_ptr_equal(vm, &world.vms[1]);
    assert_true(tokens != NULL && size == 4 && piece->flags == 0);
    assert_int_equal(piece->offset, world.stored);
    world.stores++;
    if (world.taken == STATUS_OK) {
        world.stored += piece->section == POSTERN_SNAPSHOT_STATE ? KIB(1)
                        : world.skips                            ? SIZE
                                                                 : POSTERN_SNAPSHOT_PIECE_MAX;
    }
    return world.taken;
}

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    for (unsigned i = 0; i < 2; i++) {
        (void)strcpy(world.config[i].name, i == 0 ? "alpha" : "spare");
        world.vms[i].config = &world.config[i];
        world.vms[i].vcpu_count = 1;
    }
    atomic_store(&world.vms[0].state, VM_PAUSED);
    atomic_store(&world.vms[1].state, VM_RESTORING);
    return 0;
}

static enum snapshot_left carry(struct snapshot_piece *piece)
{
    char error[SNAPSHOT_ERROR_SIZE] = "";
    enum snapshot_left left;

    assert_int_equal(snapshot_clone(&world.vms[0], &world.vms[1], piece, &left, error), STATUS_OK);
    assert_string_equal(error, "");
    return left;
}

static void test_step_by_step(void **state)
{
    struct snapshot_piece piece = {.section = POSTERN_SNAPSHOT_RAM};
    enum snapshot_left left = SNAPSHOT_LEFT_MORE;
    unsigned calls = 0;

    (void)state;
    while (left == SNAPSHOT_LEFT_MORE) {
        left = carry(&piece);
        assert_true(piece.covered != 0 &&
                    piece.covered <= SNAPSHOT_CLONE_STEP + POSTERN_SNAPSHOT_PIECE_MAX);
        assert_int_equal(piece.size, SIZE);
        piece.offset += piece.covered;
        calls++;
    }
    assert_int_equal(left, SNAPSHOT_LEFT_NONE);
    assert_int_equal(piece.offset, SIZE);
    assert_int_equal(world.stored, SIZE);
    assert_in_range(calls, SIZE / SNAPSHOT_CLONE_STEP, SIZE / SNAPSHOT_CLONE_STEP + 2);
    /* At the end there is nothing, and nothing wrong. */
    assert_int_equal(carry(&piece), SNAPSHOT_LEFT_NONE);
    assert_int_equal(piece.covered, 0);
}

static void test_skipped_at_once(void **state)
{
    struct snapshot_piece piece = {.section = POSTERN_SNAPSHOT_RAM,
                                   .flags = POSTERN_SNAPSHOT_DIRTY};

    (void)state;
    world.skips = true;
    assert_int_equal(carry(&piece), SNAPSHOT_LEFT_NONE);
    assert_int_equal(piece.covered, SIZE);
    assert_int_equal(world.fetches, 1);
}

static void test_state(void **state)
{
    struct snapshot_piece piece = {.section = POSTERN_SNAPSHOT_STATE};

    (void)state;
    /* Its vCPUs are still to write theirs. */
    world.vms[0].snapshot.size = STATE;
    assert_int_equal(carry(&piece), SNAPSHOT_LEFT_LATE);
    assert_int_equal(piece.covered, 0);
    assert_int_equal(world.fetches, 0);
    world.saved = true;
    assert_int_equal(carry(&piece), SNAPSHOT_LEFT_NONE);
    assert_int_equal(piece.covered, STATE);
    assert_int_equal(world.stores, 3);
}

static void assert_refused(uint32_t section, status_t wanted, const char *why)
{
    struct snapshot_piece piece = {.section = section, .offset = 0x18};
    char error[SNAPSHOT_ERROR_SIZE] = "";
    enum snapshot_left left;

    world.stored = 0x18;
    assert_int_equal(snapshot_clone(&world.vms[0], &world.vms[1], &piece, &left, error), wanted);
    assert_string_equal(error, why);
    assert_int_equal(world.stored, 0x18);
}

static void test_sources_that_have_none(void **state)
{
    (void)state;
    world.fetched = STATUS_INVALID;
    assert_refused(9, STATUS_INVALID,
                   "alpha has no section 9 with a byte 0x18 that is a word's first, or none with "
                   "flags 0");
    world.fetched = STATUS_BUSY;
    assert_refused(POSTERN_SNAPSHOT_RAM, STATUS_BUSY, "alpha is not tracked");
    /* Nobody has asked for its state: it will not come. */
    assert_refused(POSTERN_SNAPSHOT_STATE, STATUS_BUSY, "alpha is not saved");
    world.vms[0].vcpu_count = 0;
    assert_refused(POSTERN_SNAPSHOT_RAM, STATUS_BUSY, "alpha is absent");
    assert_int_equal(world.stores, 0);
}

static void test_targets_that_take_none(void **state)
{
    (void)state;
    world.taken = STATUS_INVALID;
    assert_refused(POSTERN_SNAPSHOT_RAM, STATUS_INVALID,
                   "spare has no place for byte 0x18 of section 0: it is of another shape");
    world.taken = STATUS_DENIED;
    assert_refused(POSTERN_SNAPSHOT_DISK, STATUS_DENIED, "spare: its disk 0 takes nothing");
    world.fetches = 0;
    atomic_store(&world.vms[1].state, VM_RUNNING);
    assert_refused(POSTERN_SNAPSHOT_RAM, STATUS_BUSY, "spare is not being restored");
    assert_int_equal(world.fetches, 0);
}

/* Not all of it found room: it is told how much that was. */
static void test_overlay_without_room(void **state)
{
    struct snapshot_piece piece = {.section = POSTERN_SNAPSHOT_DISK};
    char error[SNAPSHOT_ERROR_SIZE] = "";
    enum snapshot_left left;

    (void)state;
    world.taken = STATUS_NO_MEMORY;
    assert_int_equal(snapshot_clone(&world.vms[0], &world.vms[1], &piece, &left, error),
                     STATUS_NO_MEMORY);
    assert_true(piece.covered > 0 && piece.covered < piece.size);
    assert_int_equal(left, SNAPSHOT_LEFT_MORE);
    assert_int_equal(world.stores, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_step_by_step, begin),
        cmocka_unit_test_setup(test_skipped_at_once, begin),
        cmocka_unit_test_setup(test_state, begin),
        cmocka_unit_test_setup(test_sources_that_have_none, begin),
        cmocka_unit_test_setup(test_targets_that_take_none, begin),
        cmocka_unit_test_setup(test_overlay_without_room, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
