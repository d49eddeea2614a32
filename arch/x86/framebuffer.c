/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/framebuffer.h"

#include "arch/x86/cpu.h"
#include "lib/spinlock.h"
#include "lib/text_screen.h"

/* font.S */
extern const uint8_t screen_font[], screen_font_end[];

static struct text_screen screen;
static bool ready;
/* The log's own lock may be passed by after a time; this one may not. */
static struct spinlock lock;

status_t framebuffer_init(const struct boot_framebuffer *framebuffer)
{
    struct text_screen_mode mode = {
        .pixels = (volatile uint32_t *)framebuffer->base,
        .width = framebuffer->width,
        .height = framebuffer->height,
        .stride = framebuffer->stride,
        .bgr = framebuffer->bgr,
    };
    struct psf_font font;

    if (framebuffer->base == 0) {
        return STATUS_NOT_FOUND;
    }
    status_t status = psf_open(&font, screen_font, (size_t)(screen_font_end - screen_font));
    if (status == STATUS_OK) {
        status = text_screen_init(&screen, &mode, &font);
    }
    ready = status == STATUS_OK;
    return status;
}

void framebuffer_write_last(const char *line, size_t size)
{
    if (ready) {
        text_screen_write(&screen, line, size);
        /* Writes that the CPU still gathers must reach the screen. */
        store_fence();
    }
}

void framebuffer_write(const char *line, size_t size)
{
    /* A sink must not wait: a line that comes while another CPU writes is in hvctl's log only. */
    if (spin_trylock(&lock)) {
        framebuffer_write_last(line, size);
        spin_unlock(&lock);
    }
}
