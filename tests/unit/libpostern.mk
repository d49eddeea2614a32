# SPDX-License-Identifier: BSD-2-Clause
UNIT_libpostern := guests/libpostern/port.c guests/libpostern/queue.c guests/libpostern/burst.c \
	vmfunc/gate/body.c vmfunc/gate/burst.c
UNIT_libpostern_follow := $(UNIT_libpostern)
