/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp INTERFACE pass | drop | abort | tx | redirect [INTERFACE] | echo | meta | off: attaches a
 * small XDP program to the interface's driver, or detaches it. `tx` sends all that comes back
 * unchanged; `redirect` does so by way of bpf_redirect(), or sends it by another interface; `echo`
 * answers ICMP echo requests over IPv4 and passes the rest; `meta` passes all, with the metadata
 * that guests/linux/postern_bench.c looks for.
 * Without a C library.
 */
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program.h"

#define SYS_IOCTL      16
#define SYS_SOCKET     41
#define SYS_SETSOCKOPT 54
#define SYS_BPF        321
#define AF_INET        2
#define AF_NETLINK     16
#define SOCK_DGRAM     2
#define SOCK_RAW       3
#define SIOCGIFINDEX   0x8933
#define SOL_NETLINK    270

/* struct ifreq, of which the kernel copies all. */
static struct {
    char name[16];
    int32_t index;
    uint8_t reserved[20];
} request;

/* RTM_SETLINK with IFLA_XDP. */
static struct {
    struct nlmsghdr head;
    struct ifinfomsg link;
    struct nlattr xdp;
    struct nlattr file_head;
    int32_t file;
    struct nlattr flags_head;
    uint32_t flags;
} set;

static union {
    struct nlmsghdr head;
    char bytes[1024];
} answer;

/* Instructions of BPF. */
#define INSN(op, to, from, offset, value)                                                 \
    {                                                                                     \
        .code = (op), .dst_reg = (to), .src_reg = (from), .off = (offset), .imm = (value) \
    }
#define LOAD(size, to, from, offset)  INSN(BPF_LDX | BPF_MEM | (size), to, from, offset, 0)
#define STORE(size, to, offset, from) INSN(BPF_STX | BPF_MEM | (size), to, from, offset, 0)
#define SET(to, value)                INSN(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value)
#define MOVE(to, from)                INSN(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define ADD(to, value)                INSN(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value)
#define CALL(function)                INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define EXIT()                        INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define UNLESS(reg, value, offset)    INSN(BPF_JMP | BPF_JNE | BPF_K, reg, 0, offset, value)

/* Offsets in a frame with an ICMP message over IPv4 without options. */
#define ETHER_TO    0
#define ETHER_FROM  6
#define ETHER_TYPE  12
#define IP_VERSION  14
#define IP_PROTOCOL 23
#define IP_FROM     26
#define IP_TO       30
#define ICMP_TYPE   34
#define ICMP_SUM    36
#define ICMP_END    42

static struct bpf_insn constant[] = {SET(BPF_REG_0, 0), EXIT()};

static struct bpf_insn redirect[] = {
    SET(BPF_REG_1, 0), /* the interface */
    SET(BPF_REG_2, 0),
    CALL(BPF_FUNC_redirect),
    EXIT(),
};

#define METADATA 0x6174656d /* "meta" */

static const struct bpf_insn meta[] = {
    MOVE(BPF_REG_6, BPF_REG_1),
    SET(BPF_REG_2, -(int)sizeof(uint32_t)),
    CALL(BPF_FUNC_xdp_adjust_meta),
    UNLESS(BPF_REG_0, 0, 8), /* to the end, as the next */
    LOAD(BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct xdp_md, data)),
    LOAD(BPF_W, BPF_REG_3, BPF_REG_6, offsetof(struct xdp_md, data_meta)),
    MOVE(BPF_REG_4, BPF_REG_3),
    ADD(BPF_REG_4, sizeof(uint32_t)),
    INSN(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_4, BPF_REG_2, 3, 0),
    INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_3, 0, 0, METADATA),
    SET(BPF_REG_0, XDP_PASS),
    EXIT(),
    SET(BPF_REG_0, XDP_ABORTED),
    EXIT(), /* the driver has no metadata */
};

static struct bpf_insn echo[] = {
    LOAD(BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_md, data)),
    LOAD(BPF_W, BPF_REG_3, BPF_REG_1, offsetof(struct xdp_md, data_end)),
    MOVE(BPF_REG_4, BPF_REG_2), ADD(BPF_REG_4, ICMP_END), SET(BPF_REG_0, XDP_PASS),
    /* It is shorter. As what follows, to the end. */
    INSN(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_4, BPF_REG_3, 29, 0),
    LOAD(BPF_H, BPF_REG_5, BPF_REG_2, ETHER_TYPE), UNLESS(BPF_REG_5, 0x0008, 27), /* IPv4 */
    LOAD(BPF_B, BPF_REG_5, BPF_REG_2, IP_VERSION), UNLESS(BPF_REG_5, 0x45, 25),
    LOAD(BPF_B, BPF_REG_5, BPF_REG_2, IP_PROTOCOL), UNLESS(BPF_REG_5, 1, 23), /* ICMP */
    LOAD(BPF_B, BPF_REG_5, BPF_REG_2, ICMP_TYPE), UNLESS(BPF_REG_5, 8, 21),   /* echo request */
    LOAD(BPF_W, BPF_REG_4, BPF_REG_2, ETHER_TO), LOAD(BPF_H, BPF_REG_5, BPF_REG_2, ETHER_TO + 4),
    LOAD(BPF_W, BPF_REG_0, BPF_REG_2, ETHER_FROM), STORE(BPF_W, BPF_REG_2, ETHER_TO, BPF_REG_0),
    LOAD(BPF_H, BPF_REG_0, BPF_REG_2, ETHER_FROM + 4),
    STORE(BPF_H, BPF_REG_2, ETHER_TO + 4, BPF_REG_0),
    STORE(BPF_W, BPF_REG_2, ETHER_FROM, BPF_REG_4),
    STORE(BPF_H, BPF_REG_2, ETHER_FROM + 4, BPF_REG_5), LOAD(BPF_W, BPF_REG_4, BPF_REG_2, IP_FROM),
    LOAD(BPF_W, BPF_REG_5, BPF_REG_2, IP_TO), STORE(BPF_W, BPF_REG_2, IP_FROM, BPF_REG_5),
    STORE(BPF_W, BPF_REG_2, IP_TO, BPF_REG_4), SET(BPF_REG_4, 0), /* echo reply, ... */
    STORE(BPF_B, BPF_REG_2, ICMP_TYPE, BPF_REG_4), LOAD(BPF_H, BPF_REG_4, BPF_REG_2, ICMP_SUM),
    ADD(BPF_REG_4, 8), /* ... which the sum has to make up for */
    MOVE(BPF_REG_5, BPF_REG_4), INSN(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_5, 0, 0, 16),
    INSN(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_4, BPF_REG_5, 0, 0),
    STORE(BPF_H, BPF_REG_2, ICMP_SUM, BPF_REG_4), SET(BPF_REG_0, XDP_TX),
    EXIT(), /* the 35th after the first */
};

/* Ends the program if `result` is an error, with what there is to say of it. */
static long check(long result, const char *what)
{
    if (result >= 0) {
        return result;
    }
    print("xdp: error ");
    print_number((unsigned long long)-result);
    print(": ");
    print(what);
    print("\n");
    leave(1);
}

static int32_t find_interface(const char *name)
{
    long file = check(system_call(SYS_SOCKET, AF_INET, (const void *)SOCK_DGRAM, 0), "socket");

    unsigned length = 0;

    for (; length < sizeof(request.name) - 1 && name[length] != '\0'; length++) {
        request.name[length] = name[length];
    }
    request.name[length] = '\0';
    check(system_call6(SYS_IOCTL, file, SIOCGIFINDEX, (long)&request, 0, 0, 0), name);
    return request.index;
}

static int32_t load(const struct bpf_insn *program, unsigned count)
{
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_XDP,
        .insn_cnt = count,
        .insns = (uintptr_t)program,
        .license = (uintptr_t) "Dual BSD/GPL",
    };

    return (int32_t)check(system_call(SYS_BPF, BPF_PROG_LOAD, &attributes, sizeof(attributes)),
                          "the program does not load");
}

/* The file of the program with that name, which may redirect to `interface`; -1 to detach. */
static int32_t choose(const char *name, int32_t interface)
{
    static const struct {
        const char *name;
        int32_t action;
    } constants[] = {
        {"pass", XDP_PASS}, {"drop", XDP_DROP}, {"abort", XDP_ABORTED}, {"tx", XDP_TX}};

    for (unsigned i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        if (equal(name, constants[i].name)) {
            constant[0].imm = constants[i].action;
            return load(constant, sizeof(constant) / sizeof(constant[0]));
        }
    }
    if (equal(name, "redirect")) {
        redirect[0].imm = interface;
        return load(redirect, sizeof(redirect) / sizeof(redirect[0]));
    }
    if (equal(name, "echo")) {
        return load(echo, sizeof(echo) / sizeof(echo[0]));
    }
    if (equal(name, "meta")) {
        return load(meta, sizeof(meta) / sizeof(meta[0]));
    }
    if (!equal(name, "off")) {
        print("xdp: pass, drop, abort, tx, redirect, echo, meta or off?\n");
        leave(1);
    }
    return -1;
}

/* What the kernel says beside the error's number; empty if it says nothing. */
static const char *explanation(void)
{
    const struct nlmsgerr *error = (const void *)(answer.bytes + NLMSG_HDRLEN);
    uint32_t at = NLMSG_HDRLEN + sizeof(*error);

    if ((answer.head.nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
        return "";
    }
    while (at + sizeof(struct nlattr) < answer.head.nlmsg_len) {
        const struct nlattr *attribute = (const void *)(answer.bytes + at);

        if (attribute->nla_type == NLMSGERR_ATTR_MSG) {
            return (const char *)(attribute + 1);
        }
        at += NLMSG_ALIGN(attribute->nla_len);
    }
    return "";
}

static void attach(int32_t interface, int32_t file)
{
    const int on = 1;
    long netlink =
        check(system_call(SYS_SOCKET, AF_NETLINK, (const void *)SOCK_RAW, NETLINK_ROUTE), "socket");

    (void)system_call6(SYS_SETSOCKOPT, netlink, SOL_NETLINK, NETLINK_EXT_ACK, (long)&on, sizeof(on),
                       0);
    (void)system_call6(SYS_SETSOCKOPT, netlink, SOL_NETLINK, NETLINK_CAP_ACK, (long)&on, sizeof(on),
                       0);
    set.head = (struct nlmsghdr){.nlmsg_len = sizeof(set),
                                 .nlmsg_type = RTM_SETLINK,
                                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
    set.link.ifi_index = interface;
    set.xdp =
        (struct nlattr){sizeof(set) - offsetof(__typeof__(set), xdp), IFLA_XDP | NLA_F_NESTED};
    set.file_head = (struct nlattr){sizeof(set.file_head) + sizeof(set.file), IFLA_XDP_FD};
    set.file = file;
    set.flags_head = (struct nlattr){sizeof(set.flags_head) + sizeof(set.flags), IFLA_XDP_FLAGS};
    set.flags = XDP_FLAGS_DRV_MODE;
    check(system_call(SYS_WRITE, netlink, &set, sizeof(set)), "netlink");
    check(system_call(SYS_READ, netlink, &answer, sizeof(answer)), "netlink");
    check(((const struct nlmsgerr *)(const void *)(answer.bytes + NLMSG_HDRLEN))->error,
          explanation());
}

__attribute__((used, noreturn)) static void begin(long *stack)
{
    char **arguments = (char **)(stack + 1);
    bool to_another = stack[0] == 4 && equal(arguments[2], "redirect");
    int32_t interface, to;

    if (stack[0] != 3 && !to_another) {
        print("xdp INTERFACE pass | drop | abort | tx | redirect [INTERFACE] | echo | meta |"
              " off\n");
        leave(1);
    }
    to = find_interface(arguments[to_another ? 3 : 1]);
    interface = find_interface(arguments[1]);
    attach(interface, choose(arguments[2], to));
    leave(0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
