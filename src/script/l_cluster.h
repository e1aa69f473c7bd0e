/* This process as a part of a cluster: a primary, which starts workers, or one
 * of these. Policy and Node's names are Lua's (lua/luaserve/cluster/), here is
 * what only the kernel can do. Used by worker.c, which tells of the end. */
#ifndef SCRIPT_L_CLUSTER_H
#define SCRIPT_L_CLUSTER_H

/* Finds out whether this process was started as a worker, at the very start of
 * it. Returns its number in the cluster, or 0. One that is to be held back
 * waits here. */
int l_cluster_begin(void);

/* The process has begun to stop: tells Lua, which tells the others. */
void l_cluster_drain(void);

/* How many workers of this process are alive. */
unsigned l_cluster_workers(void);

/* Sends the signal to all of them. */
void l_cluster_kill(int signo);

#endif
