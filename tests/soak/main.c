/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The soak: see soak.h. This process starts the others, kills the rogue now and then, starts it
 * again, and sees that the victim and the friend live and get on. At the end all is drained, and
 * each packet is accounted for. The last line is "soak: N passed, M failed".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "abi/ring_ops.h"
#include "tests/soak/packet.h"
#include "tests/soak/pool.h"
#include "tests/soak/soak.h"
#include "tests/unit/random.h"

#define PATIENCE_S 30u /* without any progress */
#define KILL_MS    20u

static uint64_t packets = 10000000; /* over both links */
static uint64_t times = 50;         /* that the rogue does each thing, and traffic resumes */
static uint64_t seed = 1;
static const struct {
    const char *name;
    uint64_t *value;
} options[] = {{"--packets", &packets}, {"--times", &times}, {"--seed", &seed}};

static struct soak *soak;
static pid_t processes[PROCESSES];
static uint32_t rogues; /* started */
static struct random dice;
static unsigned passed, failed;

void soak_ring(struct soak *s, enum soak_process process)
{
    atomic_fetch_add(&s->doorbells[process], 1);
    (void)syscall(SYS_futex, &s->doorbells[process], FUTEX_WAKE, 1, NULL, NULL, 0);
}

void soak_wait(struct soak *s, enum soak_process process, uint32_t old, uint32_t us)
{
    const struct timespec limit = {.tv_nsec = 1000l * us};

    (void)syscall(SYS_futex, &s->doorbells[process], FUTEX_WAIT, old, us != 0 ? &limit : NULL, NULL,
                  0);
}

void soak_complain(struct soak *s, const char *format, ...)
{
    va_list arguments;

    if (!atomic_exchange(&s->failed, true)) {
        va_start(arguments, format);
        (void)vsnprintf(s->complaint, sizeof(s->complaint), format, arguments);
        va_end(arguments);
    }
    _exit(1);
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void judge(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void judge(bool good, const char *format, ...)
{
    va_list arguments;

    printf("%s ", good ? "PASS" : "FAIL");
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    passed += good ? 1 : 0;
    failed += good ? 0 : 1;
}

static void start(enum soak_process process)
{
    pid_t parent = getpid(), child = fork();

    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child > 0) {
        processes[process] = child;
        return;
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(1);
    }
    switch (process) {
    case VICTIM:
        victim_run(soak);
    case FRIEND:
        friend_run(soak);
    default:
        rogue_run(soak, rogues);
    }
}

/* As a VM that starts anew: its section is granted. */
static void start_rogue(void)
{
    rogues++;
    if (!atomic_exchange(&soak->granted, true)) {
        (void)kill(soak->victim, SIGUSR1);
    }
    start(ROGUE);
}

/* Starts the rogue again when it is dead. Anybody else's death is a failure, which it returns. */
static bool all_live(void)
{
    int status;

    for (;;) {
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid == 0) {
            return true;
        }
        if (pid == processes[ROGUE] && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
            start_rogue();
            continue;
        }
        if (!atomic_exchange(&soak->failed, true)) {
            (void)snprintf(soak->complaint, sizeof(soak->complaint), "%s has ended: status 0x%x",
                           pid == processes[VICTIM]   ? "the victim"
                           : pid == processes[FRIEND] ? "the friend"
                                                      : "the rogue",
                           (unsigned)status);
        }
        return false;
    }
}

static void kill_rogue(void)
{
    int status;

    atomic_fetch_add(&soak->begun[ROGUE_KILLED], 1);
    (void)kill(processes[ROGUE], SIGKILL);
    if (waitpid(processes[ROGUE], &status, 0) == processes[ROGUE] && WIFSIGNALED(status)) {
        atomic_fetch_or(&soak->pending, 1ull << ROGUE_KILLED);
        start_rogue();
    }
}

/* Packets taken by the ends of a link. */
static uint64_t taken_on(unsigned link)
{
    return TAKEN_PACKETS(atomic_load(&soak->channels[link][0].taken)) +
           TAKEN_PACKETS(atomic_load(&soak->channels[link][1].taken));
}

static bool is_settled(const struct channel *channel)
{
    return atomic_load(&channel->sent) == TAKEN_NEXT(atomic_load(&channel->taken));
}

static bool all_settled(void)
{
    bool settled = true;

    for (unsigned i = 0; i < 2 * LINKS; i++) {
        settled &= is_settled(&soak->channels[i / 2][i % 2]);
    }
    return settled;
}

static uint32_t least_resumed(void)
{
    uint32_t least = UINT32_MAX;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        uint32_t resumed = atomic_load(&soak->resumed[kind]);

        least = resumed < least ? resumed : least;
    }
    return least;
}

static bool seen_all_faults(void)
{
    bool all = true;

    for (unsigned fault = POSTERN_FAULT_NONE + 1; fault < POSTERN_FAULTS; fault++) {
        all &= atomic_load(&soak->faults[fault]) != 0;
    }
    return all;
}

static void give_up(const char *what)
{
    if (!atomic_exchange(&soak->failed, true)) {
        (void)snprintf(soak->complaint, sizeof(soak->complaint), "%s for %u s; pending 0x%llx",
                       what, PATIENCE_S, (unsigned long long)atomic_load(&soak->pending));
    }
}

/* Has the rogue done each thing often enough, and the victim found all that can be wrong? */
static bool has_done_all(void)
{
    return least_resumed() >= times && seen_all_faults();
}

static void drain(void)
{
    atomic_store(&soak->draining, true);
    for (unsigned i = 0; i < PROCESSES; i++) {
        soak_ring(soak, i);
    }
}

/* Until enough was done and all is drained, or something is wrong. */
static void supervise(void)
{
    uint64_t progress[LINKS] = {0};
    double since[LINKS] = {now(), now()};

    while (all_live() && !atomic_load(&soak->failed)) {
        bool calm = atomic_load(&soak->calm);

        if (calm && atomic_load(&soak->draining) && all_settled()) {
            return;
        }
        for (unsigned link = 0; link < LINKS; link++) {
            uint64_t taken = taken_on(link);

            if (taken != progress[link]) {
                progress[link] = taken;
                since[link] = now();
            } else if (now() - since[link] > PATIENCE_S) {
                give_up(link == LINK_FRIEND ? "the honest link stands still"
                                            : "the rogue's link stands still");
            }
        }
        if (calm && atomic_load(&soak->pending) == 0) {
            drain();
        } else if (!calm && taken_on(0) + taken_on(1) >= packets && has_done_all()) {
            atomic_store(&soak->calm, true);
        } else if (!calm && random_below(&dice, KILL_MS) == 0) {
            kill_rogue();
        }
        (void)usleep(1000);
    }
}

/* Tells all to end; whoever does not is killed. */
static void end_all(void)
{
    atomic_store(&soak->quit, true);
    for (unsigned i = 0; i < PROCESSES; i++) {
        soak_ring(soak, i);
    }
    (void)usleep(200000);
    for (unsigned i = 0; i < PROCESSES; i++) {
        (void)kill(processes[i], SIGKILL);
        (void)waitpid(processes[i], NULL, 0);
    }
}

static void judge_channel(unsigned link, unsigned producer, const char *name)
{
    const struct channel *channel = &soak->channels[link][producer];
    uint64_t taken = atomic_load(&channel->taken);

    judge(is_settled(channel) && (link != LINK_FRIEND || TAKEN_LOST(taken) == 0),
          "%s: %llu sent = %llu received in order and once + %llu lost", name,
          (unsigned long long)atomic_load(&channel->sent), (unsigned long long)TAKEN_PACKETS(taken),
          (unsigned long long)TAKEN_LOST(taken));
}

static void judge_all(void)
{
    static const char *const faults[] = {
        [POSTERN_FAULT_IDENTITY] = "identity", [POSTERN_FAULT_HEAD] = "head",
        [POSTERN_FAULT_TAIL] = "tail",         [POSTERN_FAULT_PAD] = "pad",
        [POSTERN_FAULT_LENGTH] = "length",     [POSTERN_FAULT_META] = "meta",
        [POSTERN_FAULT_POSTED] = "posted",     [POSTERN_FAULT_LENT] = "lent"};
    uint64_t pending = atomic_load(&soak->pending);

    for (unsigned kind = 0; kind < KINDS; kind++) {
        uint32_t begun = atomic_load(&soak->begun[kind]);

        judge(begun != 0 && (pending >> kind & 1) == 0, "the rogue %s: %u times, and is back",
              misbehave_name(kind), begun);
    }
    for (unsigned fault = POSTERN_FAULT_NONE + 1; fault < POSTERN_FAULTS; fault++) {
        judge(atomic_load(&soak->faults[fault]) != 0,
              "the victim finds what is wrong with %s: %u times", faults[fault],
              atomic_load(&soak->faults[fault]));
    }
    judge(atomic_load(&soak->gate_errors) != 0, "crossings that a revocation ends: %u",
          atomic_load(&soak->gate_errors));
    judge(atomic_load(&soak->by_pages) != 0 && atomic_load(&soak->lent) != 0,
          "%llu packets came in posted pages, %llu were lent",
          (unsigned long long)atomic_load(&soak->by_pages),
          (unsigned long long)atomic_load(&soak->lent));
    judge_channel(LINK_FRIEND, 0, "victim to friend");
    judge_channel(LINK_FRIEND, 1, "friend to victim");
    judge_channel(LINK_ROGUE, 0, "victim to rogue");
    judge_channel(LINK_ROGUE, 1, "rogue to victim");
}

/* Reads the words of the command line: options, each with a number. */
static bool read_options(char **words)
{
    for (; words[0] != NULL; words += 2) {
        uint64_t *value = NULL;
        char *rest;

        for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
            value = strcmp(words[0], options[i].name) == 0 ? options[i].value : value;
        }
        if (value == NULL || words[1] == NULL) {
            return false;
        }
        *value = strtoull(words[1], &rest, 10);
        if (rest == words[1] || *rest != '\0') {
            return false;
        }
    }
    return true;
}

static void set_up(void)
{
    soak = mmap(NULL, sizeof(*soak), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (soak == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    soak->seed = seed;
    soak->granted = true;
    dice.state = seed * 2 + 1;
    for (unsigned link = 0; link < LINKS; link++) {
        window_create(&soak->windows[link], SECTION_SIZE);
        window_create(&soak->pools[link], POOL_SIZE);
    }
    start(VICTIM);
    soak->victim = processes[VICTIM];
    start(FRIEND);
    start_rogue();
}

int main(int count, char **words)
{
    double begin = now(), end;

    if (!read_options(words + 1) || count == 0) {
        (void)fprintf(stderr, "usage: %s [--packets NUMBER] [--times NUMBER] [--seed NUMBER]\n",
                      words[0]);
        return 2;
    }
    set_up();
    supervise();
    end_all();
    end = now();
    judge(!atomic_load(&soak->failed), "no end crashes, hangs, or takes what it should not%s%s",
          soak->complaint[0] != '\0' ? ": " : "", soak->complaint);
    judge_all();
    printf("seed %llu: %llu packets in %.1f s, %llu of them over the honest link; "
           "the rogue opened %u times in %u processes, %u packets came as only a liar sends them\n",
           (unsigned long long)seed, (unsigned long long)(taken_on(0) + taken_on(1)), end - begin,
           (unsigned long long)taken_on(LINK_FRIEND), atomic_load(&soak->life_count), rogues,
           atomic_load(&soak->from_liars));
    printf("soak: %u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
