/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uefi/efi_state.h"

#include "arch/x86/serial.h"
#include "arch/x86/uefi/uefi.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"

#define CHUNK MIB(1)

static EFI_FILE_HANDLE open_volume(void)
{
    EFI_GUID guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_FILE_IO_INTERFACE *volume = NULL;
    EFI_FILE_HANDLE root = NULL;

    if (efi_boot->HandleProtocol(efi_loaded->DeviceHandle, &guid, (void **)&volume) !=
            EFI_SUCCESS ||
        volume->OpenVolume(volume, &root) != EFI_SUCCESS) {
        log_error("the volume that Postern was started from cannot be opened");
        return NULL;
    }
    return root;
}

static EFI_FILE_HANDLE open_file(EFI_FILE_HANDLE root, const char *path)
{
    CHAR16 wide[128];
    EFI_FILE_HANDLE file = NULL;
    size_t at = 0;

    for (; path[at] != '\0' && at + 1 < ARRAY_SIZE(wide); at++) {
        wide[at] = path[at] == '/' ? L'\\' : (CHAR16)(unsigned char)path[at];
    }
    wide[at] = 0;
    if (root->Open(root, &file, wide, EFI_FILE_MODE_READ, 0) != EFI_SUCCESS) {
        log_error("%s: no such file on the boot volume", path);
        return NULL;
    }
    return file;
}

/* The size, by seeking to the end: EFI_FILE_INFO's length depends on the name's. */
static bool file_size(EFI_FILE_HANDLE file, UINT64 *size)
{
    return file->SetPosition(file, ~0ull) == EFI_SUCCESS &&
           file->GetPosition(file, size) == EFI_SUCCESS &&
           file->SetPosition(file, 0) == EFI_SUCCESS;
}

static void progress(const char *path, uint64_t done, uint64_t size)
{
    char line[160];
    size_t length =
        format_string(line, sizeof(line), "\r  %s %llu of %llu KiB", path,
                      (unsigned long long)(done >> 10), (unsigned long long)(size >> 10));

    serial_write(line, length < sizeof(line) ? length : sizeof(line) - 1);
    if (done == size) {
        serial_write("\n", 1);
    }
}

static status_t read_all(EFI_FILE_HANDLE file, const char *path, uint8_t *data, UINT64 size)
{
    for (UINT64 done = 0; done < size;) {
        UINTN count = size - done < CHUNK ? size - done : CHUNK;
        if (file->Read(file, &count, data + done) != EFI_SUCCESS || count == 0) {
            log_error("%s: cannot be read beyond byte %llu", path, (unsigned long long)done);
            return STATUS_IO;
        }
        done += count;
        progress(path, done, size);
    }
    return STATUS_OK;
}

static status_t read_open(struct boot_info *info, EFI_FILE_HANDLE file, const char *path)
{
    struct boot_file *entry = &info->files[info->file_count];
    UINT64 size = 0;

    if (!file_size(file, &size) || size == 0) {
        log_error("%s: is empty or not a file", path);
        return STATUS_INVALID;
    }
    entry->data = efi_pages(size, ~0ull);
    if (entry->data == NULL) {
        log_error("%s: no memory for its %llu bytes", path, (unsigned long long)size);
        return STATUS_NO_MEMORY;
    }
    entry->size = size;
    (void)string_copy(entry->path, sizeof(entry->path), path);
    status_t status = read_all(file, path, entry->data, size);
    info->file_count += status == STATUS_OK;
    return status;
}

status_t uefi_read_file(struct boot_info *info, const char *path)
{
    if (info->file_count == BOOT_MAX_FILES) {
        log_error("%s: more than %u files", path, BOOT_MAX_FILES);
        return STATUS_NO_MEMORY;
    }
    EFI_FILE_HANDLE root = open_volume();
    if (root == NULL) {
        return STATUS_IO;
    }
    status_t status = STATUS_NOT_FOUND;
    EFI_FILE_HANDLE file = open_file(root, path);
    if (file != NULL) {
        status = read_open(info, file, path);
        file->Close(file);
    }
    root->Close(root);
    return status;
}
