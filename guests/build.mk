# SPDX-License-Identifier: BSD-2-Clause
# The Linux guests: Debian's kernels, the modules for each and an initramfs with them.

GUESTS := $(BUILD)/guests
KERNEL_CACHE ?= $(BUILD)/cache
MODULE_SOURCES := $(wildcard guests/linux/* abi/*)
FLAVOUR_cloud := cloud-amd64
FLAVOUR_generic := amd64
GUEST_KINDS := cloud generic
GUEST_FILES := $(foreach kind,$(GUEST_KINDS),$(GUESTS)/vmlinuz-$(kind) $(GUESTS)/initrd-$(kind).img)

guests: $(GUEST_FILES) ## build the guests' kernels and initramfs

# An update of the headers brings another kernel release: then everything below is made anew.
$(GUESTS)/%/release: guests/initramfs/get_kernel.sh \
		$(wildcard /var/lib/dpkg/info/linux-headers-cloud-amd64.list)
	$(call say,KERNEL,$(FLAVOUR_$*))
	$(Q)guests/initramfs/get_kernel.sh $(FLAVOUR_$*) $(KERNEL_CACHE) $(@D)

$(GUESTS)/vmlinuz-%: $(GUESTS)/%/release
	$(Q)ln -f $(<D)/vmlinuz $@

# The kernel's build system writes beside the sources, hence a copy of them for each kernel.
$(GUESTS)/%/modules: $(GUESTS)/%/release $(MODULE_SOURCES)
	$(call say,MODULES,$(FLAVOUR_$*))
	$(Q)rm -rf $(@D)/src && mkdir -p $(@D)/src/guests
	$(Q)cp -a guests/linux $(@D)/src/guests/ && cp -a abi $(@D)/src/
	$(Q)if [ -f $(@D)/src/guests/linux/Kbuild ]; then \
		$(MAKE) --silent -C /usr/src/linux-headers-$$(cat $<) M=$(abspath $(@D)/src/guests/linux) \
			V=$(V) KCFLAGS=-ffile-prefix-map=$(abspath $(@D)/src)=. modules > $(@D)/modules.log 2>&1 \
			|| { cat $(@D)/modules.log >&2; exit 1; }; \
		strip --strip-debug $(@D)/src/guests/linux/*.ko; \
	fi
	$(Q)touch $@

# The driver's sources as DKMS wants them, to be copied to /usr/src.
DKMS_VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' guests/linux/dkms.conf)
DKMS_SOURCE := $(GUESTS)/dkms/postern-$(DKMS_VERSION)

dkms: ## assemble the Linux driver's source tree for DKMS
	$(Q)rm -rf $(DKMS_SOURCE) && mkdir -p $(DKMS_SOURCE)/guests
	$(Q)cp -a abi $(DKMS_SOURCE)/ && cp -a guests/linux $(DKMS_SOURCE)/guests/
	$(Q)mv $(DKMS_SOURCE)/guests/linux/dkms.conf $(DKMS_SOURCE)/
	$(call say,DKMS,$(DKMS_SOURCE))

# The kernel's own style. Left to the repository: comments of two lines have their end on the second.
CHECKPATCH := $(KERNEL_CACHE)/checkpatch/checkpatch.pl
CHECKPATCH_FLAGS := --no-tree --strict --terse --show-types --no-summary --ignore BLOCK_COMMENT_STYLE

checkpatch: ## fetch the kernel's checkpatch.pl (140 MB), which check-driver then runs
	$(Q)guests/get_checkpatch.sh $(KERNEL_CACHE)

# Sparse says what it finds and does not fail.
check-driver: dkms $(GUESTS)/cloud/release ## check the Linux driver with sparse, and that DKMS builds it
	$(Q)if [ -e $(CHECKPATCH) ]; then \
		perl $(CHECKPATCH) $(CHECKPATCH_FLAGS) -f $(wildcard guests/linux/*.[chS]); \
	else \
		echo "  SKIPPED checkpatch: 'make checkpatch' fetches it"; \
	fi
	$(Q)release=$$(cat $(GUESTS)/cloud/release); log=$(GUESTS)/dkms/sparse.log; \
		rm -rf $(GUESTS)/dkms/sparse && cp -a $(DKMS_SOURCE) $(GUESTS)/dkms/sparse; \
		$(MAKE) --silent -C /usr/src/linux-headers-$$release C=2 W=1 \
			M=$(abspath $(GUESTS)/dkms/sparse/guests/linux) modules > $$log 2>&1 || { cat $$log; exit 1; }; \
		! grep -E 'guests/linux/|abi/' $$log | grep -E '(warning|error):'
	$(Q)rm -rf $(GUESTS)/dkms/tree && mkdir -p $(GUESTS)/dkms/tree
	$(Q)dkms build --sourcetree $(abspath $(GUESTS)/dkms) --dkmstree $(abspath $(GUESTS)/dkms/tree) \
		-k $$(cat $(GUESTS)/cloud/release) $(abspath $(DKMS_SOURCE)) > $(GUESTS)/dkms/build.log 2>&1 \
		|| { cat $(GUESTS)/dkms/build.log; exit 1; }

# Small programs of their own, without a C library.
PROGRAMS := $(patsubst guests/initramfs/%.c,$(GUESTS)/bin/%,$(wildcard guests/initramfs/*.c))

$(GUESTS)/bin/%: guests/initramfs/%.c $(wildcard guests/initramfs/*.h) $(wildcard abi/*)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(WARNINGS) -O2 -I. -static -nostdlib -ffreestanding -fno-stack-protector \
		-fno-asynchronous-unwind-tables -Wl,--build-id=none -s -o $@ $<

$(GUESTS)/initrd-%.img: $(GUESTS)/%/modules $(PROGRAMS) $(wildcard guests/initramfs/*)
	$(call say,INITRD,$@)
	$(Q)guests/initramfs/build.sh $@ $(GUESTS)/bin $(<D)/src/guests/linux/*.ko \
		$$(ls $(<D)/debian/*.ko | grep -v '/uio')

# Disks for the configuration `virtio`: one with a file system, and one of zeros.
$(GUESTS)/disk.img: guests/make_disk.sh
	$(call say,DISK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$< $@

$(GUESTS)/scratch.img: guests/build.mk
	$(Q)mkdir -p $(@D)
	$(Q)truncate -s 0 $@ && truncate -s 1M $@

GUEST_FILES += $(GUESTS)/disk.img $(GUESTS)/scratch.img
guests: $(GUESTS)/disk.img $(GUESTS)/scratch.img

all: guests

.PHONY: guests dkms check-driver checkpatch
.PRECIOUS: $(GUESTS)/%/release $(GUESTS)/%/modules
