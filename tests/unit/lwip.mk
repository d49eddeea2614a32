# SPDX-License-Identifier: BSD-2-Clause
UNIT_lwip_options := guests/lwip/options.c
UNIT_lwip_offload := guests/lwip/offload.c
UNIT_lwip_text := guests/lwip/text.c
UNIT_lwip_port := guests/lwip/port.c vmfunc/gate/body.c vmfunc/gate/burst.c
