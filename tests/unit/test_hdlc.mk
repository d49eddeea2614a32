UNIT_hdlc := lib/hdlc.c
