/* control_private.h - between control.c (the machine) and control_writer.c (the writer on the loop) */
#ifndef VGPUD_CONTROL_PRIVATE_H
#define VGPUD_CONTROL_PRIVATE_H

#include "control.h"

/* control.c */
void control_post(struct control *c, enum control_event event);
/* An answer that may be anything. */
void control_answer(struct control *c, const struct vgpu_control_written *written);

/* control_writer.c */
int control_watch_init(struct control *c);
void control_watch_stop(struct control *c);

#endif /* VGPUD_CONTROL_PRIVATE_H */
