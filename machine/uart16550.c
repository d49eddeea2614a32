/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/uart16550.h"

#include "lib/string.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

#define IER_RECEIVE   0x01u
#define IER_TRANSMIT  0x02u
#define IER_MASK      0x0fu
#define IIR_NONE      0x01u
#define IIR_TRANSMIT  0x02u
#define IIR_RECEIVE   0x04u
#define IIR_FIFO      0xc0u
#define FCR_ENABLE    0x01u
#define FCR_CLEAR_RX  0x02u
#define LCR_DLAB      0x80u
#define MCR_MASK      0x1fu
#define MCR_LOOP      0x10u
#define MCR_OUT2      0x08u
#define LSR_RECEIVED  0x01u
#define LSR_TX_EMPTY  0x60u
#define MSR_CONNECTED 0xb0u /* DCD, DSR, CTS */

static uint8_t cause(const struct uart16550 *uart)
{
    if ((uart->ier & IER_RECEIVE) != 0 && uart->count > 0) {
        return IIR_RECEIVE;
    }
    if ((uart->ier & IER_TRANSMIT) != 0 && uart->thre_pending) {
        return IIR_TRANSMIT;
    }
    return IIR_NONE;
}

static void update_irq(struct uart16550 *uart)
{
    /* OUT2 is the gate to the interrupt line on every PC. */
    bool level = cause(uart) != IIR_NONE && (uart->mcr & MCR_OUT2) != 0;

    if (level != uart->irq) {
        uart->irq = level;
        uart->ops->set_irq(uart->context, level);
    }
}

void uart16550_init(struct uart16550 *uart, const struct uart16550_ops *ops, void *context)
{
    memset(uart, 0, sizeof(*uart));
    uart->ops = ops;
    uart->context = context;
    uart->dll = 1;
}

size_t uart16550_rx_room(const struct uart16550 *uart)
{
    return UART16550_FIFO - uart->count;
}

void uart16550_receive(struct uart16550 *uart, uint8_t byte)
{
    if (uart->count == UART16550_FIFO) {
        return;
    }
    uart->fifo[(uart->first + uart->count) % UART16550_FIFO] = byte;
    uart->count++;
    update_irq(uart);
}

static uint8_t take_received(struct uart16550 *uart)
{
    if (uart->count == 0) {
        return 0;
    }
    uint8_t byte = uart->fifo[uart->first];
    uart->first = (uart->first + 1) % UART16550_FIFO;
    uart->count--;
    return byte;
}

static uint8_t read_iir(struct uart16550 *uart)
{
    uint8_t value = cause(uart);

    if (value == IIR_TRANSMIT) {
        uart->thre_pending = false;
    }
    return (uint8_t)(value | ((uart->fcr & FCR_ENABLE) != 0 ? IIR_FIFO : 0));
}

/* In loopback the modem's outputs are its inputs: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
 */
static uint8_t read_msr(const struct uart16550 *uart)
{
    uint8_t m = uart->mcr;

    if ((m & MCR_LOOP) == 0) {
        return MSR_CONNECTED;
    }
    return (uint8_t)((m & 0x0cu) << 4 | (m & 0x02u) << 3 | (m & 0x01u) << 5);
}

uint8_t uart16550_read(struct uart16550 *uart, unsigned reg)
{
    bool divisor = (uart->lcr & LCR_DLAB) != 0;
    uint8_t value = 0xff;

    switch (reg) {
    case REG_DATA:
        value = divisor ? uart->dll : take_received(uart);
        break;
    case REG_IER:
        value = divisor ? uart->dlm : uart->ier;
        break;
    case REG_IIR_FCR:
        value = read_iir(uart);
        break;
    case REG_LCR:
        value = uart->lcr;
        break;
    case REG_MCR:
        value = uart->mcr;
        break;
    case REG_LSR:
        value = (uint8_t)(LSR_TX_EMPTY | (uart->count > 0 ? LSR_RECEIVED : 0));
        break;
    case REG_MSR:
        value = read_msr(uart);
        break;
    case REG_SCRATCH:
        value = uart->scratch;
        break;
    default:
        break;
    }
    update_irq(uart);
    return value;
}

static void write_data(struct uart16550 *uart, uint8_t value)
{
    uart->thre_pending = true;
    if ((uart->mcr & MCR_LOOP) != 0) {
        uart16550_receive(uart, value);
    } else {
        uart->ops->transmit(uart->context, value);
    }
}

void uart16550_write(struct uart16550 *uart, unsigned reg, uint8_t value)
{
    bool divisor = (uart->lcr & LCR_DLAB) != 0;

    switch (reg) {
    case REG_DATA:
        if (divisor) {
            uart->dll = value;
        } else {
            write_data(uart, value);
        }
        break;
    case REG_IER:
        if (divisor) {
            uart->dlm = value;
            break;
        }
        /* Enabling the interrupt reports the transmitter that is empty already. */
        uart->thre_pending |= (value & ~uart->ier & IER_TRANSMIT) != 0;
        uart->ier = value & IER_MASK;
        break;
    case REG_IIR_FCR:
        uart->fcr = value;
        if ((value & FCR_CLEAR_RX) != 0) {
            uart->count = 0;
        }
        break;
    case REG_LCR:
        uart->lcr = value;
        break;
    case REG_MCR:
        uart->mcr = value & MCR_MASK;
        break;
    case REG_SCRATCH:
        uart->scratch = value;
        break;
    default:
        break; /* LSR and MSR are read-only */
    }
    update_irq(uart);
}

void uart16550_save(const struct uart16550 *uart, struct uart16550_image *image)
{
    *image = (struct uart16550_image){
        .ier = uart->ier,
        .fcr = uart->fcr,
        .lcr = uart->lcr,
        .mcr = uart->mcr,
        .scratch = uart->scratch,
        .dll = uart->dll,
        .dlm = uart->dlm,
        .thre_pending = uart->thre_pending,
        .irq = uart->irq,
        .count = (uint8_t)uart->count,
    };
    for (unsigned i = 0; i < uart->count; i++) {
        image->fifo[i] = uart->fifo[(uart->first + i) % UART16550_FIFO];
    }
}

bool uart16550_load(struct uart16550 *uart, const struct uart16550_image *image)
{
    if (image->count > UART16550_FIFO || image->thre_pending > 1 || image->irq > 1 ||
        (image->ier & ~IER_MASK) != 0 || (image->mcr & ~MCR_MASK) != 0) {
        return false;
    }
    uart->ier = image->ier;
    uart->fcr = image->fcr;
    uart->lcr = image->lcr;
    uart->mcr = image->mcr;
    uart->scratch = image->scratch;
    uart->dll = image->dll;
    uart->dlm = image->dlm;
    uart->thre_pending = image->thre_pending != 0;
    uart->irq = image->irq != 0;
    uart->first = 0;
    uart->count = image->count;
    memcpy(uart->fifo, image->fifo, sizeof(uart->fifo));
    return true;
}
