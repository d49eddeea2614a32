/* SPDX-License-Identifier: BSD-2-Clause */
#define _DEFAULT_SOURCE
#include "tools/hvctl/hvctl.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/hvctl/json.h"
#include "tools/hvctl/progress.h"

#define INTERVAL_MIN_MS 1u
#define INTERVAL_MAX_MS 50u
#define COMMAND_SIZE    1024u

int wrong_usage(const char *verb, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "hvctl: %s: ", verb);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (see 'hvctl help %s')\n", verb);
    return EXIT_USAGE;
}

int line_trouble(const struct client *client, enum client_result result)
{
    char text[CLIENT_TEXT_SIZE];

    progress_clear();
    if (result == CLIENT_VERSION) {
        fprintf(stderr, "hvctl: %s: its is %u, this program's %u\n", client_result_text(result),
                client->version, MONITOR_VERSION);
        return EXIT_LINE;
    }
    fprintf(stderr, "hvctl: %s", client_result_text(result));
    if (result == CLIENT_SILENT) {
        fprintf(stderr, " within %u.%u s", client->timeout_ms / 1000,
                client->timeout_ms % 1000 / 100);
    }
    fputc('\n', stderr);
    client_last_text(client, text, sizeof(text));
    if (client->decoder.frames == 0 && text[strspn(text, " \n")] != '\0') {
        fprintf(stderr, "the line ended with this text:\n%s\n", text + strspn(text, " \n"));
    }
    return EXIT_LINE;
}

int require_console(const struct client *client, const char *vm)
{
    int stream = client_find_console(client, vm);

    if (stream < 0) {
        fprintf(stderr, "hvctl: there is no VM named '%s'; there are:", vm);
        for (unsigned i = MONITOR_STREAM_CONSOLE; i < client->stream_count; i++) {
            fprintf(stderr, " %s", client->streams[i]);
        }
        fputc('\n', stderr);
    }
    return stream;
}

unsigned next_interval(unsigned interval_ms, bool active)
{
    if (active) {
        return INTERVAL_MIN_MS;
    }
    return interval_ms * 2 < INTERVAL_MAX_MS ? interval_ms * 2 : INTERVAL_MAX_MS;
}

bool write_out(const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        ssize_t count = write(STDOUT_FILENO, at, size);
        if (count >= 0) {
            at += count;
            size -= (size_t)count;
        } else if (errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void report_gap(uint64_t expected, uint64_t offset)
{
    char text[64];

    if (offset > expected) {
        int size = snprintf(text, sizeof(text), "[%llu bytes lost]",
                            (unsigned long long)(offset - expected));
        (void)write_out(text, (size_t)size);
    }
}

static void print_output(const struct client_output *output)
{
    print_tables(output->text, output->size);
    if (output->cut) {
        fprintf(stderr, "hvctl: the hypervisor had no room for the rest of the output\n");
    }
}

/* The reason, where programs do not take it for the result. */
static void print_failure(const struct client_output *output)
{
    fwrite(output->text, 1, output->size, stderr);
    if (json_wanted) {
        json_print_error(stdout, output->text, output->size);
    }
}

static int run(struct client *client, const char *command, bool quietly)
{
    struct client_output output;
    enum client_result result = client_execute(client, command, &output);

    if (result == CLIENT_RESTARTED) {
        result = client_connect(client);
        if (result == CLIENT_OK) {
            result = client_execute(client, command, &output);
        }
    }
    if (result != CLIENT_OK) {
        return line_trouble(client, result);
    }
    if (output.failed) {
        print_failure(&output);
    } else if (!quietly) {
        print_output(&output);
    }
    free(output.text);
    return output.failed ? EXIT_FAILED : EXIT_DONE;
}

int run_command(struct client *client, const char *command)
{
    return run(client, command, false);
}

int run_quietly(struct client *client, const char *command)
{
    return run(client, command, true);
}

int execute_words(struct client *client, int count, char **words)
{
    char command[COMMAND_SIZE] = "";

    for (int i = 0; i < count; i++) {
        if (strlen(command) + strlen(words[i]) + 2 > sizeof(command)) {
            fprintf(stderr, "hvctl: the command is too long\n");
            return EXIT_USAGE;
        }
        strcat(strcat(command, i > 0 ? " " : ""), words[i]);
    }
    return run_command(client, command);
}

static int run_without_arguments(struct client *client, int argc, char **argv)
{
    if (argc > 1) {
        return wrong_usage(argv[0], "it takes no arguments");
    }
    return run_command(client, argv[0]);
}

static int run_with_vm(struct client *client, int argc, char **argv)
{
    if (argc != 2) {
        return wrong_usage(argv[0], "it takes a VM's name");
    }
    if (require_console(client, argv[1]) < 0) {
        return EXIT_FAILED;
    }
    return execute_words(client, argc, argv);
}

static int run_info(struct client *client, int argc, char **argv)
{
    return argc == 1 ? run_command(client, argv[0]) : run_with_vm(client, argc, argv);
}

bool is_meant(const char *verb, const char *name)
{
    char answer[16];

    if (!isatty(STDIN_FILENO)) {
        fprintf(stderr, "hvctl: %s: %s would lose what it has: say --yes\n", verb, name);
        return false;
    }
    fprintf(stderr, "%s %s: it loses what it has. Go on? [y/N] ", verb, name);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* A verb that takes something away for good: "--yes" may stand before the VM's name or behind. */
static int run_if_meant(struct client *client, int argc, char **argv)
{
    const char *vm = NULL;
    bool yes = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--yes") == 0) {
            yes = true;
        } else if (argv[i][0] == '-' || vm != NULL) {
            return wrong_usage(argv[0], "'%s' is not an argument of it", argv[i]);
        } else {
            vm = argv[i];
        }
    }
    if (vm == NULL) {
        return wrong_usage(argv[0], "it takes a VM's name");
    }
    if (require_console(client, vm) < 0) {
        return EXIT_FAILED;
    }
    if (!yes && !is_meant(argv[0], vm)) {
        return EXIT_USAGE;
    }
    char command[COMMAND_SIZE];
    if ((size_t)snprintf(command, sizeof(command), "%s %s --yes", argv[0], vm) >= sizeof(command)) {
        return wrong_usage(argv[0], "the name is too long");
    }
    return run_command(client, command);
}

static int run_with_network(struct client *client, int argc, char **argv)
{
    return argc == 2 ? execute_words(client, argc, argv)
                     : wrong_usage(argv[0], "it takes a network's name");
}

static int run_with_plug(struct client *client, int argc, char **argv)
{
    return argc == 2 ? execute_words(client, argc, argv)
                     : wrong_usage(argv[0], "it takes a network's name, '/' and a VM's");
}

static int run_shutdown(struct client *client, int argc, char **argv)
{
    if (argc > 2) {
        return wrong_usage(argv[0], "'%s' is one argument too many", argv[2]);
    }
    if (argc < 2 || strcmp(argv[1], "all") == 0) {
        return run_command(client, "shutdown all");
    }
    if (require_console(client, argv[1]) < 0) {
        return EXIT_FAILED;
    }
    return execute_words(client, argc, argv);
}

static int run_trace(struct client *client, int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "save") == 0) {
        return run_trace_save(client, argv[2]);
    }
    if (argc == 1 || (argc == 2 && strcmp(argv[1], "stop") == 0) ||
        (argc <= 3 && strcmp(argv[1], "start") == 0)) {
        return execute_words(client, argc, argv);
    }
    return wrong_usage(argv[0], "it takes 'start [EVENT,...]', 'stop', 'save FILE', or nothing");
}

static int run_dirty(struct client *client, int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        return wrong_usage(argv[0], "it takes a VM's name, and start, stop or --map");
    }
    if (argc == 3 && strcmp(argv[2], "start") != 0 && strcmp(argv[2], "stop") != 0 &&
        strcmp(argv[2], "--map") != 0) {
        return wrong_usage(argv[0], "'%s' is not an argument of it", argv[2]);
    }
    if (require_console(client, argv[1]) < 0) {
        return EXIT_FAILED;
    }
    return execute_words(client, argc, argv);
}

static int run_exec(struct client *client, int argc, char **argv)
{
    if (argc < 2) {
        return wrong_usage(argv[0], "it takes a command");
    }
    return execute_words(client, argc - 1, argv + 1);
}

static int run_vcpu(struct client *client, int argc, char **argv)
{
    if (argc == 1 || (argc <= 3 && strcmp(argv[1], "list") == 0)) {
        return argc == 1 ? run_command(client, "vcpu list") : execute_words(client, argc, argv);
    }
    if (((argc == 3 || argc == 4) && strcmp(argv[1], "regs") == 0) ||
        (argc == 5 && strcmp(argv[1], "pin") == 0)) {
        return execute_words(client, argc, argv);
    }
    return wrong_usage(argv[0], "it takes 'list [VM]', 'regs VM [VCPU]' or 'pin VM VCPU CPU'");
}

static const char *const trace_words[] = {"start", "stop", "save", NULL};
static const char *const stats_words[] = {"--rates", "--costs", NULL};
static const char *const link_words[] = {"add",    "del",    "mode",      "open", "gated", "direct",
                                         "window", "queues", "doorbells", "pool", NULL};
static const char *const vcpu_words[] = {"list", "regs", "pin", NULL};
static const char *const mem_words[] = {"dump", "read", NULL};
static const char *const log_words[] = {"error", "warning", "info", "debug", NULL};
static const char *const config_words[] = {"check", "show", NULL};
static const char *const image_words[] = {"build", NULL};
static const char *const shell_words[] = {"bash", "zsh", NULL};
static const char *const shutdown_words[] = {"all", NULL};
static const char *const consent_words[] = {"--yes", NULL};
static const char *const snapshot_words[] = {"--stop", NULL};
static const char *const clone_words[] = {"--stop", "--yes", NULL};
static const char *const restore_words[] = {"--paused", "--yes", NULL};
static const char *const dirty_words[] = {"start", "stop", "--map", NULL};

const struct verb verbs[] = {
    {"list", "", "list the VMs", "One line for each VM: its name, state, vCPUs and so on.\n",
     run_without_arguments, VERB_TABLES, NULL},
    {"console", "[--no-scrollback] [--quiet SECONDS] [--until REGEX | --pty] VM",
     "join the console of a VM",
     "Shows what the VM printed before and what it prints, and types into it. Ctrl-] and then '.'\n"
     "or 'q' leaves; Ctrl-] twice sends one. Bytes that the hypervisor could not keep until they\n"
     "were read are marked [N bytes lost].\n"
     "If standard input is no terminal, it is sent, and hvctl ends when it is at its end and the\n"
     "console was quiet for a while.\n"
     "  --no-scrollback  do not show what was printed before\n"
     "  --quiet SECONDS  how long that while is (default 2); 0: what there is by now, and no more\n"
     "  --until REGEX    ends when a line that it shows matches this POSIX extended regular "
     "expression;\n"
     "                   exit code 1 if the console was quiet (by default for 60 seconds) before\n"
     "  --pty            serve it at a pseudo-terminal, whose path is printed first, for other "
     "programs:\n"
     "                   until interrupted\n",
     run_console, VERB_TALKS, NULL},
    {"stats", "[--rates|--costs SECONDS] VM", "count the exits and interrupts of a VM",
     "Exits by reason, for each vCPU; interrupts that were injected (not those that the CPU\n"
     "delivers itself); accesses that its memory's permissions refused.\n"
     "  --rates SECONDS  how many exits there are per second, over so many, from 0.1 to 3600\n"
     "  --costs SECONDS  how many ticks of the TSC the hypervisor took for those of so many "
     "seconds:\n"
     "                   the mean, and how many took fewer than 256, 512 and so on\n",
     run_stats, VERB_TABLES, stats_words},
    {"links", "[--rates SECONDS]", "list the links between VMs",
     "Each link's ends and how often they rang; what exits did for each of them, and how many "
     "bytes\n"
     "it says that it has put into its rings since it opened them.\n"
     "  --rates SECONDS  what these came to per second, over so many, from 0.1 to 3600\n",
     run_links, VERB_TABLES, NULL},
    {"link", "add NAME VM VM [KEY VALUE]... | del [--yes] LINK | mode LINK open|gated",
     "add or delete a link, or change its mode",
     "  add   between two VMs, each of which is off, crashed or absent. The keys are those of a "
     "link in\n"
     "        a configuration: mode, window, queues, doorbells, pool. Each VM has its NIC when it "
     "starts\n"
     "        next. The link is there until the hypervisor starts anew: the configuration does not "
     "get it\n"
     "  del   of such VMs, too. All of its memory is free then. Other NICs keep their places on "
     "the bus.\n"
     "        --yes does not ask whether it is meant\n"
     "  mode  while its VMs run: each end's driver closes its rings, takes up the mode and opens "
     "them\n"
     "        again, so that for its peer the link goes down and comes up. 'links' shows which "
     "mode "
     "each\n"
     "        end has. An end whose driver does not know of it keeps its mode until its VM starts "
     "anew;\n"
     "        so does a program that has the port instead, until it ends. Links in mode direct "
     "stay "
     "so\n",
     run_link, VERB_TABLES, link_words},
    {"networks", "", "list the networks and their members",
     "What each member sent by the switch, and what of it was flooded or dropped.\n",
     run_without_arguments, VERB_TABLES, NULL},
    {"fdb", "NETWORK", "show a network's forwarding database",
     "Each address that its switch knows, with the VLAN (0: they are not kept apart), the port "
     "and\n"
     "the VM. A held address moves too often to be believed; a foreign one was written by a VM.\n",
     run_with_network, VERB_TABLES, NULL},
    {"rules", "", "list the networks' rules",
     "What the configuration has each network's switch do: addresses, floods, limits, mirrors, "
     "VLANs\n"
     "and drops.\n",
     run_without_arguments, VERB_TABLES, NULL},
    {"plug", "NETWORK/VM", "put the plug of a virtio NIC back",
     "The guest sees its link come up, and the switch its port.\n", run_with_plug, VERB_TABLES,
     NULL},
    {"unplug", "NETWORK/VM", "pull the plug of a virtio NIC",
     "The guest sees its link go down. Frames to and from it are dropped.\n", run_with_plug,
     VERB_TABLES, NULL},
    {"devices", "", "list the VMs' virtio devices",
     "Whether the guest's driver is ready, and what it asked for; a failure is a driver that "
     "broke\n"
     "the rules, after which its device waits for a reset.\n",
     run_without_arguments, VERB_TABLES, NULL},
    {"log", "[-f] [--level LEVEL]", "show the hypervisor's log",
     "  -f, --follow   go on as lines come, until interrupted\n"
     "  --level LEVEL  only what is as important: error, warning, info or debug\n",
     run_log, VERB_TALKS, log_words},
    {"caps", "", "show what the CPU offers and what is used of it",
     "The capabilities that the hypervisor requires, wants and found.\n", run_without_arguments,
     VERB_TABLES, NULL},
    {"info", "[VM]", "show CPUs, memory and time, or one VM",
     "What the hypervisor and its guests hold. With a VM: its state, what the configuration says "
     "of\n"
     "its life and its share of CPUs, its memory with the sizes of the pages that map it, and how\n"
     "long its vCPUs ran.\n",
     run_info, VERB_TABLES, NULL},
    {"vcpu", "[list [VM] | regs VM [VCPU] | pin VM VCPU CPU]",
     "list vCPUs, show their registers, move them",
     "  list  where each vCPU runs, what it does, how many of its views are open\n"
     "  regs  registers and segments of one, the first without a number. The guest goes on, unless "
     "it\n"
     "        was paused\n"
     "  pin   has one run on another CPU from now on; its guest goes on and does not notice. Not "
     "where\n"
     "        it or another VM there is 'exclusive'\n",
     run_vcpu, VERB_TABLES, vcpu_words},
    {"mem", "dump VM ADDRESS [SIZE] | read VM ADDRESS SIZE FILE", "look into a VM's memory",
     "By guest-physical addresses. Numbers are decimal or 0x hexadecimal, with an optional K, M or "
     "G.\n"
     "  dump  hexadecimal, as xxd has it; 256 bytes without a SIZE, 1M at most\n"
     "  read  into a file; '-' is standard output\n"
     "The guest goes on meanwhile, unless it was paused.\n",
     run_mem, VERB_TALKS, mem_words},
    {"views", "VM", "show what each view of a VM maps",
     "The views, with the links that they open and the vCPUs that have them; then what their "
     "tables\n"
     "map, with permissions, and who gave it: a VM, or '-', the hypervisor.\n",
     run_with_vm, VERB_TABLES, NULL},
    {"top", "[--interval SECONDS] [--batch N]", "watch VMs and links on the screen",
     "CPUs, VMs with their exits and the most frequent reasons, links with their doorbells: "
     "rates,\n"
     "per second of the hypervisor's clock, taken anew every 2 seconds.\n"
     "  --interval SECONDS  every so many, from 0.2 to 3600\n"
     "  --batch N           N rounds as text, for a program or a file\n"
     "Keys: q leaves, + and - change the interval, space is at once.\n",
     run_top, VERB_TALKS, NULL},
    {"trace", "[start [EVENT,...] | stop | save FILE]", "record what the CPUs do",
     "Exits with their durations, vCPUs' turns, idle times, injected events, doorbells, changes "
     "of\n"
     "views by the hypervisor. Each CPU keeps its newest records.\n"
     "  start      records these events, or all: exit, run, idle, inject, doorbell, view\n"
     "  stop       keeps what there is\n"
     "  save FILE  fetches it, for 'hvctl decode'\n"
     "Without an argument: what is recorded.\n",
     run_trace, VERB_TABLES, trace_words},
    {"decode", "[--text | --chrome | --ctf DIR] FILE", "show a saved trace",
     "  --text     a line for each record; also without an option\n"
     "  --chrome   JSON for ui.perfetto.dev and chrome://tracing, to standard output\n"
     "  --ctf DIR  the Common Trace Format, for babeltrace2 and Trace Compass\n"
     "No line is needed.\n",
     run_decode, VERB_OFFLINE, NULL},
    {"dirty", "VM [start | stop | --map]", "show which pages a VM has written to",
     "How many pages were written to since the last call, or since 'start', which begins to track\n"
     "them: by the guest, by its devices, or by others to whom it has given them. Small pages "
     "then\n"
     "map the VM's memory, until 'stop'.\n"
     "  --map  with a coarse picture of where they are\n",
     run_dirty, VERB_TABLES, dirty_words},
    {"snapshot", "[--stop] VM FILE", "save a VM to a file",
     "Its memory, what its disks' overlays hold, and all of a disk that is 'rw', in rounds while\n"
     "it runs; then what is left and its state in a pause, and it goes on. If it is interrupted\n"
     "the same command goes on where it was; what came is in FILE.part. What no snapshot carries\n"
     "is named: a handler of #VE.\n"
     "  --stop  leave it paused\n"
     "On a terminal a line at standard error shows how far it is.\n",
     run_snapshot, VERB_TALKS, snapshot_words},
    {"restore", "[--paused] [--yes] FILE [VM]", "bring a VM back from a file",
     "Into the VM of the same name, or another of the same shape, which is off, crashed or "
     "absent.\n"
     "Its disks must be over the same images; what their overlays held is lost. All of a disk\n"
     "that is 'rw' is replaced: whether that is meant is asked for, and should it break off the\n"
     "VM does not start until it is restored. Its clock goes on where it was; it cannot tell that\n"
     "it was away but by the RTC, and by Postern's NICs, which its driver opens anew.\n"
     "  --paused  leave it paused\n"
     "  --yes     do not ask whether it is meant\n",
     run_restore, VERB_TALKS, restore_words},
    {"migrate", "[--yes] VM LINE [VM]", "move a VM to another hypervisor",
     "As snapshot and restore, with no file between: it goes on there, and is destroyed here. "
     "Should\n"
     "it fail it goes on here. What disks that are 'rw' have there is replaced.\n"
     "  --yes  do not ask whether that is meant\n",
     run_migrate, VERB_TALKS, consent_words},
    {"clone", "[--stop] [--yes] VM TO", "have another VM become a VM's twin",
     "TO is of the same shape, and off, crashed or absent. As snapshot and restore, with no file "
     "between,\n"
     "but the hypervisor carries all of it by itself, so that a slow line does not matter. TO is "
     "paused\n"
     "then, and VM goes on. Twins have the same addresses: one of them may use them at a time.\n"
     "To go back to where TO is, again and again:\n"
     "  hvctl destroy VM; hvctl clone TO VM; hvctl resume VM\n"
     "What disks of TO that are 'rw' have is replaced.\n"
     "  --stop  leave VM paused\n"
     "  --yes   do not ask whether that is meant\n",
     run_clone, VERB_TALKS, clone_words},
    {"create", "VM", "give a VM its memory",
     "One that is absent: it was destroyed, or has 'autostart off'. It is off then.\n", run_with_vm,
     VERB_TABLES, NULL},
    {"start", "VM", "start a VM that is off, crashed or absent",
     "Its kernel and initramfs are loaded anew. An absent one is created before.\n", run_with_vm,
     VERB_TABLES, NULL},
    {"pause", "VM", "have a VM stop where it is",
     "Its vCPUs leave the guest at once. The clock and its timers go on; what others send it "
     "waits.\n",
     run_with_vm, VERB_TABLES, NULL},
    {"resume", "VM", "have a paused VM go on", "Timers that expired meanwhile fire at once.\n",
     run_with_vm, VERB_TABLES, NULL},
    {"reset", "[--yes] VM", "end a VM and start it anew",
     "As its reset button would: the guest is not asked. Its memory keeps what the loader does "
     "not\n"
     "write.\n"
     "  --yes  do not ask whether it is meant\n",
     run_if_meant, VERB_TABLES, consent_words},
    {"destroy", "[--yes] VM", "end a VM and free its memory",
     "The guest is not asked. What it has written to overlays of disks is lost, too. Others see "
     "its\n"
     "links go down. 'create' or 'start' makes it again.\n"
     "  --yes  do not ask whether it is meant\n",
     run_if_meant, VERB_TABLES, consent_words},
    {"shutdown", "[VM | all]", "switch a VM off, or all of them",
     "At once, as if its plug were pulled. Without a name: all VMs, and then the machine.\n",
     run_shutdown, VERB_TABLES, shutdown_words},
    {"exec", "COMMAND...", "run any command of the hypervisor's monitor",
     "'exec help' lists them.\n", run_exec, VERB_TABLES, NULL},
    {"daemon", "--socket PATH [--group GROUP]", "share the line among several hvctl",
     "Has the line, and serves it at a UNIX socket, until interrupted: 'hvctl -l PATH' as often as "
     "one\n"
     "likes, each with its own commands; consoles may have several viewers. Commands go before "
     "what\n"
     "follows consoles and logs.\n"
     "  --socket PATH  where; only this user may connect\n"
     "  --group GROUP  its members may, too\n",
     run_daemon, VERB_TALKS, NULL},
    {"config", "check [--volume DIR] FILE | show FILE", "check or show a configuration's file",
     "Before it goes to a boot volume, by the hypervisor's own parser; no line is needed.\n"
     "  check         says whether it is good, or FILE:LINE: what is wrong and what is allowed\n"
     "  show          prints it as tables, with what it leaves to the defaults\n"
     "  --volume DIR  also look for the kernels and images that it names, under DIR\n"
     "FILE may be '-', standard input.\n",
     run_config, VERB_OFFLINE, config_words},
    {"image", "build --output IMAGE [--boot DIR] [--scripts DIR] FILE...",
     "build a disk image to boot",
     "Of configurations (NAME.conf), each an entry of the boot menu, and the kernels, initramfs "
     "and "
     "disks\n"
     "that they name as /postern/NAME, which have to be among the FILEs. For an emulator, or a USB "
     "stick;\n"
     "no line is needed.\n"
     "  --output IMAGE  the image's file\n"
     "  --boot DIR      where grub.efi and postern.efi are (default build)\n"
     "  --scripts DIR   where make_image.sh and make_menu.sh are (default tools/image)\n",
     run_image, VERB_OFFLINE, image_words},
    {"hardware", "[--save | --from FILE]", "check whether Postern can run on this machine",
     "Asks the CPUs of the Linux machine that it runs on what the hypervisor would ask them, by\n"
     "its own code: each feature, whether it is required or wanted, and what to do about those\n"
     "that are missing. Wants root, for /dev/cpu/*/msr; no line is needed.\n"
     "  --save       print the CPU's answers, for --from on another machine\n"
     "  --from FILE  judge by such a file; the firmware and the other CPUs are left out\n",
     run_hardware, VERB_OFFLINE, NULL},
    {"completion", "bash | zsh", "print a shell's completion of hvctl",
     "source <(hvctl completion bash)\n", run_completion, VERB_OFFLINE, shell_words},
    {"manual", "", "print the manual page", "hvctl manual | man -l -\n", run_manual, VERB_OFFLINE,
     NULL},
};

const unsigned verb_count = sizeof(verbs) / sizeof(verbs[0]);

const struct verb_names verb_names[] = {
    {"VM", "list"}, {"LINK", "links"}, {"NETWORK", "networks"}, {NULL, NULL}};

const struct verb *find_verb(const char *name)
{
    for (unsigned i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

const char *next_option(const char *at, size_t *length)
{
    at = strstr(at, "--");
    *length = at != NULL ? strcspn(at, " ]|") : 0;
    return at;
}

void print_verb_help(const struct verb *verb)
{
    printf("usage: hvctl [-l LINE] %s%s%s\n%s.\n\n%s", verb->name,
           verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->summary, verb->help);
}
