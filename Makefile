# make, make install, make installcheck: as for any PGXS extension (PG_CONFIG=... chooses the server).
# make check, demo, property, soak, bench, unit: complete on a bare machine; they install what is missing first.

here := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
PG_CONFIG ?= pg_config
WRAPPED := check demo property soak bench unit setup

ifneq ($(filter $(WRAPPED),$(MAKECMDGOALS)),)

# These goals must work before there is a pg_config, so PGXS is not included for them.
.NOTPARALLEL:
.PHONY: $(MAKECMDGOALS) prepared
export PG_CONFIG SEED N MINUTES

# A part of make check takes seconds.
ifneq ($(filter soak,$(MAKECMDGOALS)),)
MINUTES ?= 10
endif

OTHERS := $(filter-out $(WRAPPED),$(MAKECMDGOALS))
ifneq ($(OTHERS),)
$(OTHERS):
	+$(MAKE) -f $(here)/Makefile $@
endif

setup:
	$(here)/scripts/setup_machine

prepared: setup
	+$(MAKE) -f $(here)/Makefile -j2 all

check: setup
	+$(here)/scripts/check

unit: setup
	+$(here)/scripts/check unit

demo property soak bench: prepared
	$(if $(filter demo,$@),$(here)/demo/run,$(here)/test/$@/run)

else

# A find, not $(wildcard): a wildcard matches nothing in a VPATH build and would link an empty module.
sources := $(shell cd $(here) && find src -name '*.cpp' | LC_ALL=C sort)
regress_tests := $(shell cd $(here) && find sql -name '*.sql' 2>/dev/null | LC_ALL=C sort)
isolation_tests := $(shell cd $(here) && find test/isolation/specs -name '*.spec' 2>/dev/null | LC_ALL=C sort)

MODULE_big = upkeep
OBJS = $(sources:.cpp=.o)
EXTENSION = upkeep
DATA = extension/upkeep--1.0.sql

REGRESS = $(notdir $(basename $(regress_tests)))
REGRESS_OPTS = --load-extension=upkeep
ISOLATION = $(notdir $(basename $(isolation_tests)))
ISOLATION_OPTS = --load-extension=upkeep --inputdir=$(here)/test/isolation

# -isystem takes precedence over the -I that PGXS adds: no warnings about the server's own headers.
PG_CPPFLAGS = -I$(here)/src -isystem $(shell $(PG_CONFIG) --includedir-server) -MMD -MP
PG_CXXFLAGS = -std=c++20 -O2 -g -fno-rtti -fvisibility=hidden -Wall -Wextra -Wno-missing-field-initializers
SHLIB_LINK += -lstdc++
EXTRA_CLEAN = build $(OBJS:.o=.d)

# Bitcode of C++ objects is of no use to the JIT; a plain assignment would not override Makefile.global.
override with_llvm := no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(shell mkdir -p $(sort $(dir $(OBJS))))
$(OBJS): $(here)/Makefile
-include $(OBJS:.o=.d)

endif
