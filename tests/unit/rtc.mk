UNIT_rtc := machine/rtc.c
