/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer's side of orders. */
#include "tests/views/order.h"

#include "tests/views/direct_end.h"

static const volatile struct order *order;
static volatile struct order_answer *answer;
static uint8_t *pages;
static uint64_t pool;

/* In the image: a loader writes it at each start. */
static const volatile uint8_t image_page[SIZE_4K]
    __attribute__((aligned(4096))) = {[0 ... SIZE_4K - 1] = IMAGE_BYTE};

void orders_begin(void)
{
    uint64_t window = window_of(OPEN_PORT);

    order = (const volatile struct order *)(window + SECTION_SIZE + ORDER_OFFSET);
    answer = (volatile struct order_answer *)(window + ORDER_OFFSET);
    pool = pool_window();
    pages = ram_alloc(PEER_PAGES * SIZE_4K, SIZE_4K);
    answer->result = 0;
    answer->progress = 0;
    answer->number = order->number;
}

static uint64_t page(uint64_t index)
{
    return (uint64_t)pages + index % PEER_PAGES * SIZE_4K;
}

static int64_t load(uint64_t offset)
{
    uint64_t value = 0;
    int64_t result = gate_load(direct_view(), pool + offset, &value);

    answer->value = value;
    return result;
}

static int64_t store_on(uint64_t offset)
{
    uint32_t view = direct_view();
    uint64_t at = pool + offset;
    int64_t result;

    for (uint64_t count = 1; (result = gate_store(view, at, count)) == 0; count++) {
        answer->progress = count;
    }
    return result;
}

static void spin(void)
{
    uint64_t before = (uint64_t)hypercall(POSTERN_HC_EXITS, 0, 0, 0);

    while (order->stop == 0) {
        answer->progress = answer->progress + 1;
    }
    answer->value = (uint64_t)hypercall(POSTERN_HC_EXITS, 0, 0, 0) - before;
}

static uint64_t count_changed_bytes(void)
{
    uint64_t changed = 0;

    for (unsigned i = 0; i < SIZE_4K; i++) {
        changed += image_page[i] != IMAGE_BYTE ? 1 : 0;
    }
    return changed;
}

static NORETURN void end(uint64_t kind)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } PACKED no_idt = {0, 0};

    if (kind == ORDER_RESET) {
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    __asm__ volatile("lidt %0\n ud2" : : "m"(no_idt));
    __builtin_unreachable();
}

static int64_t carry_out(uint64_t kind, uint64_t a, uint64_t b, uint64_t c)
{
    switch (kind) {
    case ORDER_VIEW:
        return direct_view();
    case ORDER_GIVE:
        return postern_pool_give(DIRECT_PORT, b, page(a), c != 0);
    case ORDER_GIVE_IMAGE:
        return postern_pool_give(DIRECT_PORT, b, (uint64_t)image_page, 1);
    case ORDER_TAKE:
        return postern_pool_take(DIRECT_PORT, a);
    case ORDER_LOAD:
        return load(a);
    case ORDER_STORE:
        return gate_store(direct_view(), pool + a, b);
    case ORDER_STORE_ON:
        return store_on(a);
    case ORDER_PEEK:
        answer->value = *(volatile uint64_t *)page(a);
        return 0;
    case ORDER_PEEK_IMAGE:
        answer->value = count_changed_bytes();
        return 0;
    case ORDER_SPIN:
        spin();
        return 0;
    case ORDER_END:
        return direct_end(a, b, c);
    case ORDER_RESET:
    case ORDER_CRASH:
        end(kind);
    default:
        return 0;
    }
}

void orders_serve(void)
{
    uint64_t number = order->number;

    if (number != answer->number) {
        answer->result = carry_out(order->kind, order->a, order->b, order->c);
        answer->progress = 0;
        answer->number = number;
    }
}
