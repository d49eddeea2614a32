/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `hardware`: asks this Linux machine's CPUs what the hypervisor would ask them, by its
 * own code, before anybody boots it. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/x86/vmx_caps.h"
#include "tools/hvctl/hvctl.h"

#define SAVED_MAX   64u /* values in a file */
#define CPUID_VALUE "cpuid.1.ecx"
#define MSR_PREFIX  "msr."
#define CPUID_1     1

/* A CPU's answers: from the kernel's devices, or from a file. */
struct source {
    char path[64]; /* of the MSRs' device */
    int msrs;
    bool failed;  /* an MSR could not be read; the complaint is made */
    bool printed; /* each value is printed, for a file */
    unsigned count;
    struct {
        char name[24];
        uint64_t value;
    } saved[SAVED_MAX];
};

static uint64_t read_saved(void *context, uint32_t msr)
{
    const struct source *source = context;
    char name[24];

    snprintf(name, sizeof(name), MSR_PREFIX "%x", msr);
    for (unsigned i = 0; i < source->count; i++) {
        if (strcmp(source->saved[i].name, name) == 0) {
            return source->saved[i].value;
        }
    }
    return 0; /* as the hypervisor takes an MSR that is not there */
}

static uint64_t read_device(void *context, uint32_t msr)
{
    struct source *source = context;
    uint64_t value = 0;

    if (pread(source->msrs, &value, sizeof(value), msr) != (ssize_t)sizeof(value) &&
        !source->failed) {
        fprintf(stderr, "hvctl: %s: MSR 0x%x cannot be read: %s\n", source->path, msr,
                strerror(errno));
        source->failed = true;
    }
    if (source->printed) {
        printf(MSR_PREFIX "%x\t0x%llx\n", msr, (unsigned long long)value);
    }
    return value;
}

/* CPUID.1:ECX of CPU `cpu`; false after a complaint. */
static bool read_features(unsigned cpu, uint32_t *features)
{
    char path[64];
    uint32_t registers[4];

    snprintf(path, sizeof(path), "/dev/cpu/%u/cpuid", cpu);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool good = file >= 0 &&
                pread(file, registers, sizeof(registers), CPUID_1) == (ssize_t)sizeof(registers);
    if (!good) {
        fprintf(stderr, "hvctl: %s: %s: %s\n", path, strerror(errno),
                errno == EACCES ? "only root may read it" : "'modprobe cpuid' makes it");
    } else {
        *features = registers[2];
    }
    if (file >= 0) {
        close(file);
    }
    return good;
}

/* What CPU `cpu` answers; false after a complaint. */
static bool ask_cpu(unsigned cpu, bool printed, struct vmx_raw *raw)
{
    struct source source = {.printed = printed};
    uint32_t features = 0;

    if (!read_features(cpu, &features)) {
        return false;
    }
    if (printed) {
        printf(CPUID_VALUE "\t0x%x\n", features);
    }
    snprintf(source.path, sizeof(source.path), "/dev/cpu/%u/msr", cpu);
    source.msrs = open(source.path, O_RDONLY | O_CLOEXEC);
    /* A CPU without VMX has none of them. */
    if (source.msrs < 0 && (features & 1u << 5) != 0) {
        fprintf(stderr, "hvctl: %s: %s: %s\n", source.path, strerror(errno),
                errno == EACCES ? "only root may read it" : "'modprobe msr' makes it");
        return false;
    }
    vmx_raw_read(raw, features, read_device, &source);
    if (source.msrs >= 0) {
        close(source.msrs);
    }
    return !source.failed;
}

/* Reads what `hardware --save` has printed; false after a complaint. */
static bool ask_file(const char *path, struct vmx_raw *raw)
{
    static struct source source;
    uint64_t features = 0;
    bool known = false;
    char line[128];
    unsigned number = 0;
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        fprintf(stderr, "hvctl: %s: %s\n", path, strerror(errno));
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        char name[24], end;
        unsigned long long value;
        number++;
        int fields = sscanf(line, "%23s %llx %c", name, &value, &end);
        bool is_msr = strncmp(name, MSR_PREFIX, strlen(MSR_PREFIX)) == 0;
        if (fields != 2 || source.count == SAVED_MAX ||
            (!is_msr && strcmp(name, CPUID_VALUE) != 0)) {
            fprintf(stderr,
                    "hvctl: %s:%u: \"" CPUID_VALUE " VALUE\" or \"" MSR_PREFIX
                    "NUMBER VALUE\" is wanted, %u at most\n",
                    path, number, SAVED_MAX);
            good = false;
        } else if (is_msr) {
            memcpy(source.saved[source.count].name, name, sizeof(name));
            source.saved[source.count++].value = value;
        } else {
            features = value;
            known = true;
        }
    }
    fclose(file);
    if (good && !known) {
        fprintf(stderr, "hvctl: %s: it has no " CPUID_VALUE "\n", path);
        good = false;
    }
    if (good) {
        vmx_raw_read(raw, (uint32_t)features, read_saved, &source);
    }
    return good;
}

/* Whether the other CPUs are like the first. */
static bool check_others(const struct vmx_raw *first)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct vmx_raw raw;

    for (unsigned cpu = 1; cpu < (unsigned)cpus; cpu++) {
        if (!ask_cpu(cpu, false, &raw)) {
            return false;
        }
        if (!vmx_caps_same(first, &raw)) {
            fprintf(stderr, "hvctl: CPU %u cannot do what CPU 0 can\n", cpu);
            return false;
        }
    }
    return true;
}

/* The firmware's part, which a file does not tell. */
static bool check_firmware(void)
{
    glob_t found;
    uint8_t variable[5] = {0};

    if (access("/sys/firmware/efi", F_OK) != 0) {
        fprintf(stderr, "hvctl: this machine did not boot by UEFI: choose that in its setup\n");
        return false;
    }
    if (glob("/sys/firmware/efi/efivars/SecureBoot-*", 0, NULL, &found) == 0) {
        int file = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            (void)!read(file, variable, sizeof(variable));
            close(file);
        }
        globfree(&found);
    }
    if (variable[4] != 0) { /* behind the attributes */
        fprintf(stderr, "hvctl: Secure Boot is on: the firmware would refuse Postern, which is not "
                        "signed\n");
        return false;
    }
    return true;
}

static void print(void *context, const char *bytes, size_t size)
{
    fwrite(bytes, 1, size, context);
}

static int report(const struct vmx_raw *raw, bool rest_is_good)
{
    char *text = NULL;
    size_t size = 0;
    unsigned missing = vmx_caps_missing(raw);
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        perror("hvctl");
        return EXIT_FAILED;
    }
    /* Without VMX there is nothing else to tell. */
    vmx_caps_report(raw, !raw->intel_vmx, print, out);
    fclose(out);
    print_tables(text, size);
    free(text);
    if (missing > 0 || !rest_is_good) {
        fprintf(stderr, "Postern cannot run here.\n");
        return EXIT_FAILED;
    }
    if (!json_wanted) {
        printf("Postern can run here.\n");
    }
    return EXIT_DONE;
}

int run_hardware(struct client *client, int argc, char **argv)
{
    struct vmx_raw raw;

    (void)client;
    if (argc == 3 && strcmp(argv[1], "--from") == 0) {
        return ask_file(argv[2], &raw) ? report(&raw, true) : EXIT_FAILED;
    }
    if (argc == 2 && strcmp(argv[1], "--save") == 0) {
        return ask_cpu(0, true, &raw) ? EXIT_DONE : EXIT_FAILED;
    }
    if (argc != 1) {
        return wrong_usage(argv[0], "it takes nothing, --save, or --from FILE");
    }
    if (!ask_cpu(0, false, &raw)) {
        return EXIT_FAILED;
    }
    bool good = check_firmware();
    return report(&raw, (!raw.intel_vmx || check_others(&raw)) && good);
}
