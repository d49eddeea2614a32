/* SPDX-License-Identifier: BSD-2-Clause */
/* The verb `image`: a disk image to boot from. The scripts of tools/image make it; what is checked
 * here is that a machine that boots it will find what its configurations name. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/config.h"
#include "tools/hvctl/hvctl.h"

#define FOLDER     "/postern/" /* of the volume, where all files go */
#define SUFFIX     ".conf"
#define FILES_MAX  64
#define PATH_ROOM  4096u
#define EXTRA_ARGS 6

struct image {
    const char *output, *boot, *scripts;
    char **files; /* configurations and what they name */
    int file_count;
};

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static bool is_configuration(const char *path)
{
    size_t length = strlen(path), suffix = strlen(SUFFIX);

    return length > suffix && strcmp(path + length - suffix, SUFFIX) == 0;
}

/* Whether what a configuration names will be on the volume; complains. */
static bool has(const struct image *image, const char *config, const struct config_vm *vm,
                const char *path)
{
    bool here = path[0] == '\0';

    for (int i = 0; i < image->file_count && !here; i++) {
        here = strncmp(path, FOLDER, strlen(FOLDER)) == 0 &&
               strcmp(path + strlen(FOLDER), base_of(image->files[i])) == 0;
    }
    if (!here) {
        fprintf(stderr, "%s:%u: vm %s: no file that is given becomes %s\n", config, vm->line,
                vm->name, path);
    }
    return here;
}

static bool check_configuration(const struct image *image, const char *path)
{
    static struct config config;
    bool good = load_configuration(path, &config);

    for (uint32_t i = 0; good && i < config.vm_count; i++) {
        const struct config_vm *vm = &config.vms[i];
        good = has(image, path, vm, vm->kernel) && has(image, path, vm, vm->initrd);
        for (uint32_t disk = 0; good && disk < vm->disk_count; disk++) {
            good = has(image, path, vm, vm->disks[disk].image);
        }
    }
    return good;
}

/* Two files of one name would be one on the volume. */
static bool check_file(const struct image *image, int number)
{
    const char *path = image->files[number];
    struct stat about;

    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode)) {
        fprintf(stderr, "hvctl: %s: %s\n", path, errno != 0 ? strerror(errno) : "no file");
        return false;
    }
    for (int i = 0; i < number; i++) {
        if (strcmp(base_of(path), base_of(image->files[i])) == 0) {
            fprintf(stderr, "hvctl: %s and %s have one name\n", image->files[i], path);
            return false;
        }
    }
    return true;
}

static bool check_all(const struct image *image)
{
    int configurations = 0;

    for (int i = 0; i < image->file_count; i++) {
        errno = 0;
        if (!check_file(image, i)) {
            return false;
        }
        configurations += is_configuration(image->files[i]);
        if (is_configuration(image->files[i]) && !check_configuration(image, image->files[i])) {
            return false;
        }
    }
    if (configurations == 0) {
        fprintf(stderr, "hvctl: none of the files is a configuration, NAME" SUFFIX "\n");
    }
    return configurations > 0;
}

/* Runs a program, its output into the file `to` if that is not NULL; whether it succeeded. */
static bool run(char **arguments, const char *to)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        if (to != NULL && freopen(to, "w", stdout) == NULL) {
            perror(to);
            _exit(1);
        }
        (void)execv(arguments[0], arguments);
        perror(arguments[0]);
        _exit(1);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

/* Paths that the scripts take besides the files. */
struct paths {
    char menu_script[PATH_ROOM], image_script[PATH_ROOM];
    char grub[PATH_ROOM], hypervisor[PATH_ROOM], menu[PATH_ROOM];
};

static bool join(char *path, const char *folder, const char *name)
{
    return snprintf(path, PATH_ROOM, "%s/%s", folder, name) < (int)PATH_ROOM;
}

static bool find_paths(const struct image *image, struct paths *paths)
{
    return join(paths->menu_script, image->scripts, "make_menu.sh") &&
           join(paths->image_script, image->scripts, "make_image.sh") &&
           join(paths->grub, image->boot, "grub.efi") &&
           join(paths->hypervisor, image->boot, "postern.efi") &&
           snprintf(paths->menu, PATH_ROOM, "%s.menu", image->output) < (int)PATH_ROOM;
}

static int build(const struct image *image)
{
    static struct paths paths;
    char *arguments[FILES_MAX + EXTRA_ARGS + 1];
    int count = 0;

    if (!check_all(image)) {
        return EXIT_FAILED;
    }
    if (!find_paths(image, &paths)) {
        return wrong_usage("image", "a path is too long");
    }
    arguments[count++] = paths.menu_script;
    for (int i = 0; i < image->file_count; i++) {
        if (is_configuration(image->files[i])) {
            arguments[count++] = image->files[i];
        }
    }
    arguments[count] = NULL;
    bool good = run(arguments, paths.menu);
    char *fixed[] = {paths.image_script, (char *)(uintptr_t)image->output, paths.grub,
                     paths.hypervisor, paths.menu};
    count = (int)(sizeof(fixed) / sizeof(fixed[0]));
    memcpy(arguments, fixed, sizeof(fixed));
    memcpy(arguments + count, image->files, (size_t)image->file_count * sizeof(char *));
    arguments[count + image->file_count] = NULL;
    good = good && run(arguments, NULL);
    (void)unlink(paths.menu);
    return good ? EXIT_DONE : EXIT_FAILED;
}

int run_image(struct client *client, int argc, char **argv)
{
    struct image image = {.boot = "build", .scripts = "tools/image"};
    int i = 2;

    (void)client;
    if (argc < 2 || strcmp(argv[1], "build") != 0) {
        return wrong_usage(argv[0], "it takes 'build', options and files");
    }
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--output") == 0) {
            image.output = argv[i + 1];
        } else if (strcmp(argv[i], "--boot") == 0) {
            image.boot = argv[i + 1];
        } else if (strcmp(argv[i], "--scripts") == 0) {
            image.scripts = argv[i + 1];
        } else {
            return wrong_usage(argv[0], "there is no option '%s'", argv[i]);
        }
    }
    image.files = argv + i;
    image.file_count = argc - i;
    if (image.output == NULL || image.file_count == 0 || image.file_count > FILES_MAX) {
        return wrong_usage(argv[0], "it takes --output IMAGE and from 1 to %d files", FILES_MAX);
    }
    return build(&image);
}
