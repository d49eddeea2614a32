/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uefi/efi_state.h"

#include "arch/x86/framebuffer.h"
#include "arch/x86/serial.h"
#include "arch/x86/uefi/options.h"
#include "arch/x86/uefi/uefi.h"
#include "lib/log.h"
#include "lib/string.h"

EFI_HANDLE efi_image;
EFI_SYSTEM_TABLE *efi_system;
EFI_BOOT_SERVICES *efi_boot;
EFI_LOADED_IMAGE *efi_loaded;

#define COM1         0x3f8u
#define OPTIONS_SIZE 256u

extern char image_start[] __asm__("__image_start"), image_end[] __asm__("__image_end");

/* Where the machine has neither framebuffer nor serial port, messages go to the firmware's console.
 * Beside a serial port it would say everything twice: firmware mirrors its console there. */
static void firmware_console(const char *line, size_t size)
{
    CHAR16 wide[256];
    size_t at = 0;

    for (size_t i = 0; i < size && at + 3 < ARRAY_SIZE(wide); i++) {
        if (line[i] == '\n') {
            wide[at++] = '\r';
        }
        wide[at++] = (CHAR16)(unsigned char)line[i];
    }
    wide[at] = 0;
    efi_system->ConOut->OutputString(efi_system->ConOut, wide);
}

/* The options are UCS-2, with or without a terminator, and start with no program name. */
static void read_options_text(char *text, size_t size)
{
    const CHAR16 *wide = efi_loaded->LoadOptions;
    size_t count = efi_loaded->LoadOptionsSize / sizeof(CHAR16);
    size_t at = 0;

    for (; wide != NULL && at < count && at + 1 < size && wide[at] != 0; at++) {
        text[at] = wide[at] < 128 ? (char)wide[at] : '?';
    }
    text[at] = '\0';
}

static void find_screen(struct boot_info *info)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;

    if (efi_boot->LocateProtocol(&guid, NULL, (void **)&gop) != EFI_SUCCESS ||
        gop->Mode->Info->PixelFormat > PixelBlueGreenRedReserved8BitPerColor) {
        return;
    }
    info->framebuffer = (struct boot_framebuffer){
        .base = gop->Mode->FrameBufferBase,
        .width = gop->Mode->Info->HorizontalResolution,
        .height = gop->Mode->Info->VerticalResolution,
        .stride = gop->Mode->Info->PixelsPerScanLine,
        .bgr = gop->Mode->Info->PixelFormat == PixelBlueGreenRedReserved8BitPerColor,
    };
}

status_t uefi_start(void *image, void *system_table, struct boot_info *info,
                    struct uefi_options *options)
{
    EFI_GUID guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    char text[OPTIONS_SIZE];

    efi_image = image;
    efi_system = system_table;
    efi_boot = efi_system->BootServices;
    if (efi_boot->HandleProtocol(efi_image, &guid, (void **)&efi_loaded) != EFI_SUCCESS) {
        return STATUS_IO;
    }
    /* The firmware's watchdog would reset a machine that takes over five minutes to load. */
    efi_boot->SetWatchdogTimer(0, 0, 0, NULL);
    read_options_text(text, sizeof(text));
    char unknown[64] = "";
    status_t status = options_parse(text, options, unknown, sizeof(unknown));
    info->uart_port = options->uart_port != UINT32_MAX ? (uint16_t)options->uart_port : COM1;
    if (info->uart_port != 0 && !serial_present(info->uart_port)) {
        info->uart_port = 0;
    }
    serial_init(info->uart_port);
    log_add_sink(serial_write);
    find_screen(info);
    if (framebuffer_init(&info->framebuffer) == STATUS_OK) {
        log_add_sink(framebuffer_write);
    } else if (info->uart_port == 0) {
        log_add_sink(firmware_console);
    }
    info->image_base = (uint64_t)image_start;
    info->image_size = (uint64_t)(image_end - image_start);
    if (status != STATUS_OK) {
        log_error("option \"%s\" is not known; allowed: config=NAME apicv=on|off "
                  "fallback=on|off max_stay=MS uart=PORT|none append=WORD test=on|off",
                  unknown);
    }
    return status;
}

void uefi_wait(unsigned seconds)
{
    EFI_INPUT_KEY key;

    for (unsigned i = 0; i < seconds * 10; i++) {
        if (efi_system->ConIn != NULL &&
            efi_system->ConIn->ReadKeyStroke(efi_system->ConIn, &key) == EFI_SUCCESS) {
            return;
        }
        efi_boot->Stall(100000);
    }
}
