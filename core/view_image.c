/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/view_image.h"

#include "lib/bits.h"
#include "lib/format.h"

static struct snapshot_wanted wanted_ve(uint32_t vcpu)
{
    return (struct snapshot_wanted){SNAPSHOT_VE, VE_IMAGE_VERSION, vcpu, sizeof(struct ve_image)};
}

static struct snapshot_wanted wanted_view(uint32_t view)
{
    return (struct snapshot_wanted){SNAPSHOT_VIEW, VIEW_IMAGE_VERSION, view,
                                    sizeof(struct view_image)};
}

const struct ve_image *ve_image_find(const void *bytes, size_t size, uint32_t vcpu)
{
    const struct snapshot_wanted wanted = wanted_ve(vcpu);
    char error[SNAPSHOT_ERROR_SIZE];

    return snapshot_find(bytes, size, &wanted, error);
}

const struct view_image *view_image_find(const void *bytes, size_t size, uint32_t view)
{
    const struct snapshot_wanted wanted = wanted_view(view);
    char error[SNAPSHOT_ERROR_SIZE];

    return snapshot_find(bytes, size, &wanted, error);
}

struct ve_image *ve_image_add(struct snapshot_writer *writer, uint32_t vcpu)
{
    const struct snapshot_wanted wanted = wanted_ve(vcpu);

    return snapshot_add(writer, &wanted);
}

struct view_image *view_image_add(struct snapshot_writer *writer, uint32_t view)
{
    const struct snapshot_wanted wanted = wanted_view(view);

    return snapshot_add(writer, &wanted);
}

static bool ve_fits(const void *bytes, size_t size, uint32_t vcpu, uint64_t ram_size,
                    char error[SNAPSHOT_ERROR_SIZE])
{
    const struct snapshot_wanted wanted = wanted_ve(vcpu);
    const struct ve_image *image = snapshot_find(bytes, size, &wanted, error);

    if (image == NULL) {
        return false;
    }
    if (!is_aligned(image->gpa, PAGE_SIZE) || !range_within(image->gpa, PAGE_SIZE, 0, ram_size)) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "vCPU %u: #VE's area at 0x%llx is no page of RAM", vcpu,
                            (unsigned long long)image->gpa);
        return false;
    }
    return true;
}

static bool all_ve_fit(const void *bytes, size_t size, const struct view_image_limits *limits,
                       char error[SNAPSHOT_ERROR_SIZE])
{
    uint32_t known = 0;

    for (uint32_t i = 0; i < limits->vcpus; i++) {
        if (snapshot_has(bytes, size, SNAPSHOT_VE, i)) {
            if (!ve_fits(bytes, size, i, limits->ram_size, error)) {
                return false;
            }
            known++;
        }
    }
    if (snapshot_count(bytes, size, SNAPSHOT_VE) != known) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "a #VE record is of a vCPU that the VM does not have");
        return false;
    }
    return true;
}

/* `*seen`: a bit for each port that another view is of. */
static bool view_fits(const struct view_image *image, uint32_t view,
                      const struct view_image_limits *limits, uint32_t *seen,
                      char error[SNAPSHOT_ERROR_SIZE])
{
    const char *why = image->port >= limits->ports                     ? "the VM does not have"
                      : (limits->with_views & BIT32(image->port)) == 0 ? "can have none"
                      : (*seen & BIT32(image->port)) != 0              ? "has another one"
                                                                       : NULL;

    if (why != NULL) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "view %u is of NIC %u, which %s", view,
                            image->port, why);
        return false;
    }
    *seen |= BIT32(image->port);
    if ((uint64_t)image->vcpus >> limits->vcpus != 0) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "view %u is open to a vCPU that the VM does not have", view);
        return false;
    }
    return true;
}

/* A guest gets the lowest number that is free, and none is given back while it runs. */
static bool views_fit(const void *bytes, size_t size, const struct view_image_limits *limits,
                      char error[SNAPSHOT_ERROR_SIZE])
{
    uint32_t count = snapshot_count(bytes, size, SNAPSHOT_VIEW), seen = 0;

    if (count > limits->ports) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "the snapshot has %u views, and the VM %u of Postern's NICs", count,
                            limits->ports);
        return false;
    }
    for (uint32_t view = 1; view <= count; view++) {
        const struct snapshot_wanted wanted = wanted_view(view);
        const struct view_image *image = snapshot_find(bytes, size, &wanted, error);
        if (image == NULL || !view_fits(image, view, limits, &seen, error)) {
            return false;
        }
    }
    return true;
}

bool view_images_fit(const void *bytes, size_t size, const struct view_image_limits *limits,
                     char error[SNAPSHOT_ERROR_SIZE])
{
    return all_ve_fit(bytes, size, limits, error) && views_fit(bytes, size, limits, error);
}
