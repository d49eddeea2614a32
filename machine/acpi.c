/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/acpi.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "machine/guest_map.h"

/* FADT, fixed feature flags. */
#define FADT_WBINVD           BIT32(0)
#define FADT_RESET_REGISTER   BIT32(10)
#define FADT_HARDWARE_REDUCED BIT32(20)
/* FADT, IA-PC boot architecture flags. */
#define BOOT_NO_VGA       BIT32(2)

#define GAS_SYSTEM_IO     1u
#define GAS_BYTE_ACCESS   1u

#define MADT_LOCAL_X2APIC 9u
#define MADT_IO_APIC      1u
#define MADT_ENABLED      1u

/* machine/dsdt.S */
extern const uint8_t acpi_dsdt[], acpi_dsdt_end[];

struct header {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} PACKED;

struct rsdp {
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} PACKED;

struct xsdt {
    struct header header;
    uint64_t tables[2];
} PACKED;

struct gas {
    uint8_t space, bit_width, bit_offset, access_size;
    uint64_t address;
} PACKED;

/* Only what a hardware-reduced platform fills in is named. */
struct fadt {
    struct header header;
    uint32_t firmware_control;
    uint32_t dsdt;
    uint8_t unused1[65];
    uint16_t boot_flags;
    uint8_t unused2;
    uint32_t flags;
    struct gas reset_register;
    uint8_t reset_value;
    uint16_t arm_flags;
    uint8_t minor_version;
    uint64_t x_firmware_control;
    uint64_t x_dsdt;
    struct gas unused3[8];
    struct gas sleep_control;
    struct gas sleep_status;
    uint64_t hypervisor;
} PACKED;
_Static_assert(offsetof(struct fadt, boot_flags) == 109, "FADT: IAPC_BOOT_ARCH");
_Static_assert(offsetof(struct fadt, reset_register) == 116, "FADT: RESET_REG");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "FADT: SLEEP_CONTROL_REG");
_Static_assert(sizeof(struct fadt) == 276, "FADT: length of revision 6");

struct madt {
    struct header header;
    uint32_t local_apic;
    uint32_t flags; /* no legacy PICs */
} PACKED;

struct madt_io_apic {
    uint8_t type, length, id, reserved;
    uint32_t address;
    uint32_t first_gsi;
} PACKED;

struct madt_x2apic {
    uint8_t type, length;
    uint16_t reserved;
    uint32_t id;
    uint32_t flags;
    uint32_t uid;
} PACKED;

struct builder {
    uint8_t *memory;
    size_t size, used;
};

/* `size` zeroed bytes, aligned to 16; NULL if there is no room. */
static void *take(struct builder *builder, size_t size)
{
    size_t at = (size_t)align_up(builder->used, 16);

    if (at > builder->size || size > builder->size - at) {
        return NULL;
    }
    builder->used = at + size;
    memset(builder->memory + at, 0, size);
    return builder->memory + at;
}

static uint8_t checksum(const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + byte[i]);
    }
    return (uint8_t)(0u - sum);
}

/* Fills the header of a table whose body is complete. */
static void finish(struct header *header, const char *signature, uint8_t revision, size_t length)
{
    memcpy(header->signature, signature, sizeof(header->signature));
    header->length = (uint32_t)length;
    header->revision = revision;
    memcpy(header->oem_id, "POSTRN", sizeof(header->oem_id));
    memcpy(header->oem_table_id, "POSTERN ", sizeof(header->oem_table_id));
    header->oem_revision = 1;
    memcpy(header->creator_id, "PSTN", sizeof(header->creator_id));
    header->creator_revision = 1;
    header->checksum = 0;
    header->checksum = checksum(header, length);
}

static struct gas byte_port(uint16_t port)
{
    return (struct gas){GAS_SYSTEM_IO, 8, 0, GAS_BYTE_ACCESS, port};
}

static void fill_fadt(struct fadt *fadt, uint32_t dsdt)
{
    fadt->dsdt = dsdt;
    fadt->x_dsdt = dsdt;
    fadt->boot_flags = BOOT_NO_VGA;
    fadt->flags = FADT_WBINVD | FADT_RESET_REGISTER | FADT_HARDWARE_REDUCED;
    fadt->reset_register = byte_port(GUEST_PORT_RESET);
    fadt->reset_value = GUEST_RESET_VALUE;
    fadt->minor_version = 4;
    fadt->sleep_control = byte_port(GUEST_PORT_SLEEP_CONTROL);
    fadt->sleep_status = byte_port(GUEST_PORT_SLEEP_STATUS);
    finish(&fadt->header, "FACP", 6, sizeof(*fadt));
}

static void fill_madt(struct madt *madt, size_t length, uint32_t vcpus)
{
    struct madt_io_apic *io_apic = (struct madt_io_apic *)(madt + 1);
    struct madt_x2apic *x2apic = (struct madt_x2apic *)(io_apic + 1);

    *io_apic = (struct madt_io_apic){
        .type = MADT_IO_APIC, .length = sizeof(*io_apic), .address = (uint32_t)GUEST_IOAPIC_BASE};
    for (uint32_t i = 0; i < vcpus; i++) {
        x2apic[i] = (struct madt_x2apic){.type = MADT_LOCAL_X2APIC,
                                         .length = sizeof(*x2apic),
                                         .id = i,
                                         .flags = MADT_ENABLED,
                                         .uid = i};
    }
    finish(&madt->header, "APIC", 5, length);
}

status_t acpi_build(uint8_t *memory, size_t size, uint32_t gpa, uint32_t vcpus)
{
    struct builder builder = {memory, size, 0};
    size_t dsdt_size = (size_t)(acpi_dsdt_end - acpi_dsdt);
    size_t madt_size =
        sizeof(struct madt) + sizeof(struct madt_io_apic) + vcpus * sizeof(struct madt_x2apic);
    struct rsdp *rsdp = take(&builder, sizeof(*rsdp));
    struct xsdt *xsdt = take(&builder, sizeof(*xsdt));
    struct fadt *fadt = take(&builder, sizeof(*fadt));
    struct madt *madt = take(&builder, madt_size);
    uint8_t *dsdt = take(&builder, dsdt_size);

    if (rsdp == NULL || xsdt == NULL || fadt == NULL || madt == NULL || dsdt == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(dsdt, acpi_dsdt, dsdt_size);
    fill_fadt(fadt, gpa + (uint32_t)(dsdt - memory));
    fill_madt(madt, madt_size, vcpus);
    xsdt->tables[0] = gpa + (uint64_t)((uint8_t *)fadt - memory);
    xsdt->tables[1] = gpa + (uint64_t)((uint8_t *)madt - memory);
    finish(&xsdt->header, "XSDT", 1, sizeof(*xsdt));
    memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
    memcpy(rsdp->oem_id, "POSTRN", sizeof(rsdp->oem_id));
    rsdp->revision = 2;
    rsdp->length = sizeof(*rsdp);
    rsdp->xsdt = gpa + (uint64_t)((uint8_t *)xsdt - memory);
    rsdp->checksum = checksum(rsdp, 20);
    rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
    return STATUS_OK;
}
