// What launcher, workers and builders have in common as processes.
#pragma once
#include "scheduler/shared.hpp"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace upkeep::scheduler {

/// Signals, as a background process of the server takes them; ends the initialisation of the process.
void begin_process();

/// Ends the process if it is asked to, and reads the configuration again if that has changed. Returns whether it has.
bool handle_signals();

/// Sleeps until the latch is set, or for that time (-1: without end).
void sleep_until_woken(long milliseconds);

/// Milliseconds from now to `then`, at least 0.
long milliseconds_until(TimestampTz then);

/// Settings under which the process's transactions run, whatever the database's or the role's defaults are.
void pin_settings();

/// Starts a process that runs `function` of this library. nullptr: no process could be had.
BackgroundWorkerHandle *start_process(const char *type, const char *name, const char *function, Datum argument,
                                      const void *extra, size_t size);

} // namespace upkeep::scheduler
