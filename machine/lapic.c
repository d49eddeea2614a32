/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/lapic.h"

#include "arch/x86/defs/msr.h"
#include "lib/string.h"
#include "machine/lapic_parts.h"

const uint16_t lapic_lvt_registers[LAPIC_LVTS] = {REG_LVT_TIMER, REG_LVT_THERMAL, REG_LVT_PERF,
                                                  REG_LVT_LINT0, REG_LVT_LINT1,   REG_LVT_ERROR};

enum lapic_mode lapic_mode(const struct lapic *lapic)
{
    return atomic_load_explicit(&lapic->mode, memory_order_relaxed);
}

void lapic_set_mode(struct lapic *lapic, enum lapic_mode mode)
{
    atomic_store_explicit(&lapic->mode, mode, memory_order_relaxed);
}

void lapic_init(struct lapic *lapic, const struct lapic_ops *ops, void *context, uint32_t id,
                uint64_t tsc_per_tick)
{
    lapic->ops = ops;
    lapic->context = context;
    lapic->id = id;
    lapic->tsc_per_tick = tsc_per_tick;
    lapic->deadline = NEVER;
    posted_set_target(&lapic->posted, 0, 0);
    lapic_set_mode(lapic, LAPIC_X2APIC);
}

static uint32_t logical_id(uint32_t id)
{
    return id >> 4 << 16 | BIT32(id & 15);
}

void lapic_reset(struct lapic *lapic, enum lapic_mode mode)
{
    memset(lapic->page, 0, PAGE_SIZE);
    *lapic_reg(lapic, REG_ID) = lapic->id;
    *lapic_reg(lapic, REG_VERSION) = VERSION;
    *lapic_reg(lapic, REG_LDR) = logical_id(lapic->id);
    *lapic_reg(lapic, REG_SVR) = 0xff;
    for (unsigned i = 0; i < LAPIC_LVTS; i++) {
        *lapic_reg(lapic, lapic_lvt_registers[i]) = LVT_MASKED;
    }
    posted_clear(&lapic->posted);
    for (unsigned i = 0; i < POSTED_WORDS; i++) {
        atomic_store(&lapic->posted_level[i], 0);
    }
    lapic_set_mode(lapic, mode);
    atomic_store_explicit(&lapic->ldr, 0, memory_order_relaxed);
    atomic_store_explicit(&lapic->dfr, DFR_FLAT, memory_order_relaxed);
    lapic->icr_destination = 0;
    lapic->errors = 0;
    lapic->deadline = NEVER;
    lapic->period = 0;
}

/* The 256-bit registers: eight words, 16 bytes apart. */

static uint32_t *vector_word(const struct lapic *lapic, uint32_t base, unsigned vector)
{
    return lapic_reg(lapic, base + vector / 32 * 16);
}

static int highest(const struct lapic *lapic, uint32_t base)
{
    for (int word = 7; word >= 0; word--) {
        uint32_t bits = *lapic_reg(lapic, base + (uint32_t)word * 16);
        if (bits != 0) {
            return word * 32 + (int)highest_bit(bits);
        }
    }
    return -1;
}

void lapic_update_ppr(struct lapic *lapic)
{
    uint32_t tpr = *lapic_reg(lapic, REG_TPR) & 0xff;
    uint32_t service = lapic_svi(lapic);

    *lapic_reg(lapic, REG_PPR) = tpr >> 4 >= service >> 4 ? tpr : service & 0xf0;
}

bool lapic_post(struct lapic *lapic, uint8_t vector, bool level)
{
    uint64_t bit = BIT(vector % 64);

    if (!level) {
        return posted_request(&lapic->posted, vector);
    }
    /* Release: pairs with the acquire in take_level(); the device's state is seen with the
     * interrupt. */
    return (atomic_fetch_or_explicit(&lapic->posted_level[vector / 64], bit, memory_order_release) &
            bit) == 0;
}

static uint64_t take_level(struct lapic *lapic, unsigned word)
{
    if (atomic_load_explicit(&lapic->posted_level[word], memory_order_relaxed) == 0) {
        return 0;
    }
    /* Acquire: pairs with the release in lapic_post(). */
    return atomic_exchange_explicit(&lapic->posted_level[word], 0, memory_order_acquire);
}

void lapic_sync_posted(struct lapic *lapic)
{
    uint64_t edge[POSTED_WORDS];

    posted_take(&lapic->posted, edge);
    for (unsigned i = 0; i < POSTED_WORDS; i++) {
        uint64_t level = take_level(lapic, i);
        if ((edge[i] | level) == 0) {
            continue;
        }
        for (unsigned half = 0; half < 2; half++) {
            uint32_t edges = (uint32_t)(edge[i] >> 32 * half);
            uint32_t levels = (uint32_t)(level >> 32 * half);
            uint32_t offset = (2 * i + half) * 16;
            *lapic_reg(lapic, REG_TMR + offset) =
                (*lapic_reg(lapic, REG_TMR + offset) & ~edges) | levels;
            *lapic_reg(lapic, REG_IRR + offset) |= edges | levels;
        }
    }
}

int lapic_pending(const struct lapic *lapic)
{
    int vector = highest(lapic, REG_IRR);
    uint32_t tpr = *lapic_reg(lapic, REG_TPR) & 0xff;
    uint32_t service = lapic_svi(lapic);
    uint32_t priority = tpr >> 4 >= service >> 4 ? tpr >> 4 : service >> 4;

    return vector >= 0 && (uint32_t)vector >> 4 > priority ? vector : -1;
}

void lapic_accept(struct lapic *lapic, uint8_t vector)
{
    *vector_word(lapic, REG_IRR, vector) &= ~BIT32(vector % 32);
    *vector_word(lapic, REG_ISR, vector) |= BIT32(vector % 32);
    lapic_update_ppr(lapic);
}

uint8_t lapic_rvi(const struct lapic *lapic)
{
    int vector = highest(lapic, REG_IRR);

    return vector < 0 ? 0 : (uint8_t)vector;
}

uint8_t lapic_svi(const struct lapic *lapic)
{
    int vector = highest(lapic, REG_ISR);

    return vector < 0 ? 0 : (uint8_t)vector;
}

static void end_of_interrupt(struct lapic *lapic)
{
    int vector = highest(lapic, REG_ISR);

    if (vector < 0) {
        return;
    }
    *vector_word(lapic, REG_ISR, (unsigned)vector) &= ~BIT32((unsigned)vector % 32);
    lapic_update_ppr(lapic);
    if ((*vector_word(lapic, REG_TMR, (unsigned)vector) & BIT32((unsigned)vector % 32)) != 0) {
        lapic->ops->eoi(lapic->context, (uint8_t)vector);
    }
}

uint64_t lapic_level_triggered(const struct lapic *lapic, unsigned index)
{
    uint64_t high = *lapic_reg(lapic, REG_TMR + (2 * index + 1) * 16);

    return high << 32 | *lapic_reg(lapic, REG_TMR + 2 * index * 16);
}

/* The models of xAPIC mode (SDM "Logical Destination Mode"): a bit for each APIC, or clusters of
 * four. */
static bool xapic_logical_matches(const struct lapic *lapic, uint32_t destination)
{
    uint32_t mine = atomic_load_explicit(&lapic->ldr, memory_order_relaxed) >> 24;

    if (destination > 0xff) {
        return false;
    }
    if (atomic_load_explicit(&lapic->dfr, memory_order_relaxed) == DFR_FLAT) {
        return (destination & mine) != 0;
    }
    return (destination >> 4 == mine >> 4 || destination >> 4 == 0xf) &&
           (destination & mine & 0xf) != 0;
}

bool lapic_target_matches(const struct lapic *lapic, uint32_t destination, bool logical)
{
    enum lapic_mode mode = lapic_mode(lapic);

    if (mode == LAPIC_OFF) {
        return false;
    }
    if (destination == BROADCAST) {
        return true;
    }
    if (!logical) {
        return destination == lapic->id;
    }
    if (mode == LAPIC_XAPIC) {
        return xapic_logical_matches(lapic, destination);
    }
    uint32_t mine = logical_id(lapic->id);
    return destination >> 16 == mine >> 16 && (destination & mine & 0xffff) != 0;
}

uint32_t lapic_extend_destination(uint32_t destination)
{
    return destination == 0xff ? BROADCAST : destination;
}

/* The timer. */

static uint32_t timer_mode(const struct lapic *lapic)
{
    return *lapic_reg(lapic, REG_LVT_TIMER) & TIMER_MODE;
}

static uint64_t tsc_per_count(const struct lapic *lapic)
{
    uint32_t divide = *lapic_reg(lapic, REG_DIVIDE);
    unsigned shift = ((divide & 3) | (divide >> 1 & 4)) + 1;

    /* 0b111 divides by one, 0b000 by two. */
    return lapic->tsc_per_tick << (shift == 8 ? 0 : shift);
}

void lapic_start_timer(struct lapic *lapic, uint64_t tsc)
{
    uint64_t count = *lapic_reg(lapic, REG_INITIAL);
    uint64_t ticks = count * tsc_per_count(lapic);

    if (timer_mode(lapic) == TIMER_TSC_DEADLINE) {
        return;
    }
    lapic->deadline = count == 0 ? NEVER : tsc + ticks;
    lapic->period = timer_mode(lapic) == TIMER_PERIODIC ? ticks : 0;
}

static uint64_t current_count(const struct lapic *lapic, uint64_t tsc)
{
    if (timer_mode(lapic) == TIMER_TSC_DEADLINE || lapic->deadline == NEVER ||
        lapic->deadline <= tsc) {
        return 0;
    }
    return (lapic->deadline - tsc) / tsc_per_count(lapic);
}

static void write_lvt_timer(struct lapic *lapic, uint32_t value)
{
    uint32_t old_mode = timer_mode(lapic);

    *lapic_reg(lapic, REG_LVT_TIMER) = value;
    /* A change between the deadline mode and the others disarms the timer. */
    if ((old_mode == TIMER_TSC_DEADLINE) != (timer_mode(lapic) == TIMER_TSC_DEADLINE)) {
        lapic->deadline = NEVER;
    }
}

uint64_t lapic_read_tsc_deadline(const struct lapic *lapic)
{
    bool armed = timer_mode(lapic) == TIMER_TSC_DEADLINE && lapic->deadline != NEVER;

    return armed ? lapic->deadline : 0;
}

void lapic_write_tsc_deadline(struct lapic *lapic, uint64_t value)
{
    if (timer_mode(lapic) == TIMER_TSC_DEADLINE) {
        lapic->deadline = value == 0 ? NEVER : value;
        lapic->period = 0;
    }
}

bool lapic_timer_is_deadline(const struct lapic *lapic)
{
    return timer_mode(lapic) == TIMER_TSC_DEADLINE;
}

uint64_t lapic_timer_deadline(const struct lapic *lapic)
{
    return lapic->deadline;
}

bool lapic_timer_expire(struct lapic *lapic, uint64_t tsc)
{
    uint32_t lvt = lapic->page != NULL ? *lapic_reg(lapic, REG_LVT_TIMER) : LVT_MASKED;

    if (lapic->deadline > tsc) {
        return false;
    }
    /* Missed periods are skipped, so that a vCPU that was kept off its CPU gets no burst. */
    if (lapic->period != 0) {
        lapic->deadline += ((tsc - lapic->deadline) / lapic->period + 1) * lapic->period;
    } else {
        lapic->deadline = NEVER;
    }
    if ((lvt & LVT_MASKED) == 0 && (lvt & LVT_VECTOR) >= FIRST_VALID_VECTOR) {
        (void)lapic_post(lapic, (uint8_t)(lvt & LVT_VECTOR), false);
    }
    return true;
}

/* Register access. */

static bool send_ipi(struct lapic *lapic, uint64_t value)
{
    struct lapic_ipi ipi = {
        .mode = (uint8_t)(value >> 8 & 7),
        .vector = (uint8_t)value,
        .logical = (value & BIT(11)) != 0,
        .shorthand = (enum lapic_shorthand)(value >> 18 & 3),
        .destination = (uint32_t)(value >> 32),
    };

    if ((value & ICR_RESERVED) != 0) {
        return false;
    }
    *lapic_reg(lapic, REG_ICR) = (uint32_t)value;
    *lapic_reg(lapic, REG_ICR_HIGH) = (uint32_t)(value >> 32);
    if (ipi.mode <= 1 && ipi.vector < FIRST_VALID_VECTOR) {
        lapic->errors |= ESR_SEND_ILLEGAL;
        return true;
    }
    lapic->ops->send_ipi(lapic->context, &ipi);
    return true;
}

uint32_t lapic_writable(uint32_t offset)
{
    switch (offset) {
    case REG_TPR:
    case REG_SELF_IPI:
        return 0xff;
    case REG_SVR:
        return 0x3ff;
    case REG_LVT_TIMER:
        return 0x710ff;
    case REG_LVT_THERMAL:
    case REG_LVT_PERF:
        return 0x117ff;
    case REG_LVT_LINT0:
    case REG_LVT_LINT1:
        return 0x1f7ff;
    case REG_LVT_ERROR:
        return 0x110ff;
    case REG_INITIAL:
        return 0xffffffff;
    case REG_DIVIDE:
        return 0xb;
    default:
        return 0;
    }
}

static bool readable(uint32_t offset)
{
    if (offset >= REG_ISR && offset < REG_ESR) {
        return true;
    }
    return offset == REG_ID || offset == REG_VERSION || offset == REG_PPR || offset == REG_LDR ||
           offset == REG_ESR || offset == REG_ICR ||
           (lapic_writable(offset) != 0 && offset != REG_SELF_IPI);
}

bool lapic_read_msr(struct lapic *lapic, uint32_t msr, uint64_t tsc, uint64_t *value)
{
    uint32_t offset = (msr & 0xff) << 4;

    if (offset == REG_CURRENT) {
        *value = current_count(lapic, tsc);
        return true;
    }
    if (!readable(offset)) {
        return false;
    }
    *value = *lapic_reg(lapic, offset);
    if (offset == REG_ICR) {
        *value |= (uint64_t)*lapic_reg(lapic, REG_ICR_HIGH) << 32;
    }
    return true;
}

static void apply(struct lapic *lapic, uint32_t offset, uint32_t value, uint64_t tsc)
{
    switch (offset) {
    case REG_SELF_IPI:
        (void)send_ipi(lapic, (uint64_t)LAPIC_SHORTHAND_SELF << 18 | value);
        break;
    case REG_LVT_TIMER:
        write_lvt_timer(lapic, value);
        break;
    case REG_INITIAL:
    case REG_DIVIDE:
        *lapic_reg(lapic, offset) = value;
        lapic_start_timer(lapic, tsc);
        break;
    default:
        *lapic_reg(lapic, offset) = value;
        lapic_update_ppr(lapic);
        break;
    }
}

bool lapic_write_msr(struct lapic *lapic, uint32_t msr, uint64_t tsc, uint64_t value)
{
    uint32_t offset = (msr & 0xff) << 4;

    if (offset == REG_ICR) {
        return send_ipi(lapic, value);
    }
    if (offset == REG_EOI || offset == REG_ESR) {
        if (value != 0) {
            return false;
        }
        if (offset == REG_EOI) {
            end_of_interrupt(lapic);
        } else {
            /* The write tells what came since the last one. */
            *lapic_reg(lapic, REG_ESR) = lapic->errors;
            lapic->errors = 0;
        }
        return true;
    }
    uint32_t allowed = lapic_writable(offset);
    if (allowed == 0 || (value & ~(uint64_t)allowed) != 0) {
        return false;
    }
    apply(lapic, offset, (uint32_t)value, tsc);
    return true;
}
