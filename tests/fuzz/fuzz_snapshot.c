/* SPDX-License-Identifier: BSD-2-Clause */
/* What a restore is given: tokens of memory, rows of records, and what is in a vCPU's. */
#include "tests/fuzz/fuzz.h"

#include "core/vcpu_image.h"
#include "lib/word_runs.h"

#define WORDS_MAX 256u

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

static void records(struct fuzz_input input)
{
    uint8_t *bytes = fuzz_copy(input.at, input.left);
    char error[SNAPSHOT_ERROR_SIZE];

    if (snapshot_is_valid(bytes, input.left, error)) {
        judge(bytes, input.left, 0);
        judge(bytes, input.left, 1);
        FUZZ_CHECK(snapshot_count(bytes, input.left, SNAPSHOT_VCPU) <= input.left / 16);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tokens((struct fuzz_input){data, size});
    records((struct fuzz_input){data, size});
    return 0;
}
