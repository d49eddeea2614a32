# SPDX-License-Identifier: BSD-2-Clause
UNIT_config := core/config.c core/config_devices.c core/config_life.c core/config_link.c \
	core/config_network.c
UNIT_config_network := $(UNIT_config)
UNIT_config_link := $(UNIT_config)
