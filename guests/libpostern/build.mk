# SPDX-License-Identifier: BSD-2-Clause
# libpostern for programs in Linux guests, and the program `packets` that goes by it.

LIBPOSTERN := $(GUESTS)/libpostern/libpostern.a
LIBPOSTERN_OBJECTS := $(patsubst %,$(GUESTS)/libpostern/%.o,port queue burst device)
# -fPIC: it also goes into shared objects.
LIBPOSTERN_CFLAGS := $(WARNINGS) -O2 -g -I. -fPIC -ffile-prefix-map=$(CURDIR)=. -MMD -MP

libpostern: $(LIBPOSTERN) ## build libpostern, for programs in Linux guests

$(GUESTS)/libpostern/%.o: guests/libpostern/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LIBPOSTERN_CFLAGS) -c -o $@ $<

$(LIBPOSTERN): $(LIBPOSTERN_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcD $@ $^

# With the C library that iperf3 brings into the initramfs.
$(GUESTS)/bin/packets: $(GUESTS)/libpostern/packets.o $(LIBPOSTERN)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -s -Wl,--build-id=none -o $@ $^

$(GUEST_KINDS:%=$(GUESTS)/initrd-%.img): $(GUESTS)/bin/packets

-include $(wildcard $(GUESTS)/libpostern/*.d)

.PHONY: libpostern
