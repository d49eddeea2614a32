/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that have traffic while they are saved, restored and moved. One, with the word "ask",
 * sends numbered frames all the time; the other one answers each, and sends frames of its own that
 * want no answer. Both check each byte that comes. What comes back must have a number that was
 * sent, higher than the last one: frames may be lost, nothing else.
 *
 * What it takes, a line each: "c" has it print what it has counted; "p" has it take its NIC over
 * again, with packed rings; "0" to "9" has it take over that port, with Postern's rings, instead;
 * "x" has it cross into the port's view all the time.
 */
#include "tests/snapshot/disk.h"
#include "tests/snapshot/nic.h"
#include "tests/snapshot/port.h"
#include "tests/snapshot/views.h"

#define UART_DATA        0x3f8u
#define UART_LINE_STATUS 0x3fdu
#define UART_RECEIVED    1u
#define TICK_VECTOR      0x60u
#define NIC_VECTOR       0x61u
#define PORT_VECTOR      0x62u /* and some above */
#define TICK_US          10000u
#define QUESTIONS        2u      /* at each tick */
#define ETHERTYPE        0xb588u /* of local experiments, as it is on the wire */
#define ADDRESS          6u
#define PAYLOAD          40u /* where it begins; the least that a frame has is 60 bytes */
#define LENGTH_MIN       60u
#define LENGTHS          900u

enum kind { QUESTION = 1, ANSWER, REMARK };

struct PACKED message {
    uint8_t to[ADDRESS], from[ADDRESS];
    uint16_t ethertype;
    uint16_t kind;
    uint64_t number;
    uint8_t zero[16];
};
_Static_assert(sizeof(struct message) == PAYLOAD, "the payload is behind it");

static uint8_t own[ADDRESS], other[ADDRESS];
static bool asks, by_port, crosses;
static struct {
    uint64_t sent;     /* questions or remarks: the number of the last one */
    uint64_t answered; /* questions, by the other one or by this one */
    uint64_t remarks;  /* of the other one */
    uint64_t last;     /* number of an answer */
    uint64_t order;    /* answers of a number that is none, or was there already */
    uint64_t content;  /* frames with a wrong byte, kind or length */
} counted;

static uint32_t length_of(uint64_t number)
{
    return LENGTH_MIN + (uint32_t)(number * 37 % LENGTHS);
}

static uint8_t byte_of(uint64_t number, uint64_t kind, uint32_t at)
{
    return (uint8_t)(number * 7 + kind * 101 + at * 13 + (at >> 8));
}

static void send(enum kind kind, uint64_t number)
{
    uint8_t *frame = by_port ? port_room() : nic_room();
    uint32_t length = length_of(number);
    struct message message = {.ethertype = ETHERTYPE, .kind = (uint16_t)kind, .number = number};

    if (frame == NULL) {
        return;
    }
    memcpy(message.to, other, ADDRESS);
    memcpy(message.from, own, ADDRESS);
    memcpy(frame, &message, sizeof(message));
    for (uint32_t i = PAYLOAD; i < length; i++) {
        frame[i] = byte_of(number, kind, i);
    }
    if (by_port) {
        port_send(length);
    } else {
        nic_send(length);
    }
}

static bool is_right(const struct message *message, const uint8_t *frame, uint32_t length)
{
    bool right = length == length_of(message->number) && message->ethertype == ETHERTYPE &&
                 memcmp(message->to, own, ADDRESS) == 0 &&
                 memcmp(message->from, other, ADDRESS) == 0;

    for (uint32_t i = PAYLOAD; i < length && right; i++) {
        right = frame[i] == byte_of(message->number, message->kind, i);
    }
    return right;
}

static void take_answer(uint64_t number)
{
    if (number <= counted.last || number > counted.sent) {
        counted.order++;
        return;
    }
    counted.last = number;
    counted.answered++;
}

static void received(const uint8_t *frame, uint32_t length)
{
    struct message message;

    memcpy(&message, frame, sizeof(message));
    if (length < LENGTH_MIN || !is_right(&message, frame, length)) {
        counted.content++;
    } else if (message.kind == REMARK) {
        counted.remarks++;
    } else if (message.kind == ANSWER && asks) {
        take_answer(message.number);
    } else if (message.kind == QUESTION && !asks) {
        counted.answered++;
        send(ANSWER, message.number);
    } else {
        counted.content++;
    }
}

static void tick(struct frame *frame)
{
    (void)frame;
    for (unsigned i = 0; own[0] != 0 && i < (asks ? QUESTIONS : 1); i++) {
        send(asks ? QUESTION : REMARK, ++counted.sent);
    }
    end_of_interrupt();
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
}

static void print_counts(void)
{
    __asm__ volatile("cli");
    unsigned long long good[] = {counted.sent,       counted.answered,     counted.remarks,
                                 port_counts.full,   port_counts.restored, port_counts.modes,
                                 port_counts.closed, port_counts.posted,   port_counts.lost,
                                 nic_faults.full};
    unsigned long long wrong[] = {counted.order, counted.content, nic_faults.index,
                                  nic_faults.chain, port_counts.faults};
    __asm__ volatile("sti");
    print("counted: %llu sent, %llu answered, %llu remarks, %llu waited, %llu restored, "
          "%llu modes, %llu closed, %llu posted, %llu lost, %llu full; ",
          good[0], good[1], good[2], good[3], good[4], good[5], good[6], good[7], good[8], good[9]);
    print("wrong: %llu order, %llu content, %llu index, %llu chain, %llu faults\n", wrong[0],
          wrong[1], wrong[2], wrong[3], wrong[4]);
}

/* The addresses of members 1 and 2 of one network, or of both ends of a link. */
static void meet(void)
{
    memcpy(other, own, ADDRESS);
    other[ADDRESS - 1] ^= 3;
}

static void start_port(uint32_t number)
{
    __asm__ volatile("cli");
    by_port = true;
    port_start(number, PORT_VECTOR, received);
    port_address(own);
    meet();
    __asm__ volatile("sti");
    print("traffic: on port %u\n", number);
}

static void obey(uint8_t typed)
{
    if (typed == 'c') {
        print_counts();
    } else if (typed == 'p') {
        __asm__ volatile("cli");
        nic_start(NIC_VECTOR, true, received);
        print("traffic: in packed rings\n");
    } else if (typed == 'x') {
        crosses = !crosses;
        print("traffic: crosses\n");
    } else if (typed >= '0' && typed <= '9') {
        start_port(typed - (uint32_t)'0');
    }
}

void guest_role(void)
{
    if (has_word("disk")) {
        disk_role();
    }
    if (has_word("views")) {
        views_role();
    }
    asks = has_word("ask");
    vector_handle(TICK_VECTOR, tick);
    if (!has_word("port")) {
        nic_start(NIC_VECTOR, false, received);
        nic_address(own);
        meet();
    }
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TICK_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
    print("traffic: begins\n");
    for (;;) {
        if (crosses) {
            __asm__ volatile("cli");
            port_cross_long();
            __asm__ volatile("sti; nop");
        } else {
            __asm__ volatile("sti; hlt");
        }
        if ((inb(UART_LINE_STATUS) & UART_RECEIVED) != 0) {
            obey(inb(UART_DATA));
        }
    }
}
