# SPDX-License-Identifier: BSD-2-Clause
UNIT_libpostern := guests/libpostern/port.c vmfunc/gate/body.c
