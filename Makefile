# Builds, tests and installs luaserve; "make help" lists the targets. Variables:
#
#   LUA=lua5.4|luajit   the Lua to build on (lua5.4)
#   SAN=1               with AddressSanitizer and UndefinedBehaviorSanitizer
#   WERROR=1            warnings are errors
#   ONLY="FILE DIR..."  the tests to run (all), FILTER=PATTERN their names
#   LANES=N             files of tests at a time (one for each core)
#   RERUN=N             run so many failed tests a second time (0)
#   JOBS=N              compilers at a time (one for each core)
#   and CC, CFLAGS, CPPFLAGS, LDFLAGS, PREFIX, DESTDIR as everywhere.
#
# Each configuration has its folder, build/lua5.4, build/luajit-san and so on,
# where everything is made anew when the flags change. build/luaserve is a link
# to the binary that "make" built last; tests and benchmarks take the one that
# LUA and SAN name, and leave the link alone.

LUA = lua5.4
override SAN := $(filter-out 0,$(SAN))
CC = gcc
CFLAGS = $(if $(SAN),-O1 -fno-omit-frame-pointer,-O2) -g
PREFIX = /usr/local
SPEC_LUA = lua5.4
JOBS := $(shell nproc)

DEV_lua5.4 = liblua5.4-dev
DEV_luajit = libluajit2-5.1-dev
DEV := $(or $(DEV_$(LUA)),$(error luaserve: LUA must be lua5.4 or luajit))
# Libraries that pkg-config knows, each with Debian's package.
LIBRARIES = openssl=libssl-dev libnghttp2=libnghttp2-dev zlib=zlib1g-dev \
	lmdb=liblmdb-dev libbrotlienc=libbrotli-dev libbrotlidec=libbrotli-dev libzstd=libzstd-dev
# Those of the loadable modules, src/bind/NAME.c: NAME=LIBRARY=PACKAGE. A module
# is built where its library is there.
BINDINGS = sqlite=sqlite3=libsqlite3-dev fetch=libcurl=libcurl4-openssl-dev \
	redis=hiredis=libhiredis-dev postgres=libpq=libpq-dev
DEPS = $(filter gcc clang,$(CC)) libc6-dev make pkg-config libev-dev $(DEV) \
	$(foreach library,$(LIBRARIES) $(BINDINGS),$(lastword $(subst =, ,$(library))))
DEPS_TEST = $(SPEC_LUA:luajit=luajit2) lua-busted lua-socket lua-sec lua-cjson curl \
	openssl brotli zstd redis-server haproxy iproute2 postgresql chromium chromium-driver libnss3-tools
DEPS_LINT = lua-check clang-format clang-tidy
DEPS_BENCH = wrk
DEPS_FUZZ = clang libclang-rt-14-dev

BUILD := build/$(LUA)$(if $(SAN),-san)
BIN := $(BUILD)/luaserve
comma := ,

# Every core is used, but "make clean all" keeps its order.
ifeq ($(MAKELEVEL)$(word 2,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(JOBS)
endif
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

## make              build build/luaserve
all: $(BIN) bindings
	@ln -sfn $(BIN:build/%=%) build/luaserve

# ---- Sources ----

SRC := $(sort $(filter-out src/embed.c,$(wildcard src/*.c \
	$(addprefix src/,base/*.c net/*.c http/*.c proc/*.c script/*.c))))
OBJ := $(SRC:src/%.c=$(BUILD)/%.o) $(BUILD)/modules.o
LUA_SRC := $(shell find lua/node lua/luaserve -name '*.lua' | LC_ALL=C sort)
TEXTS := $(shell find $(wildcard lua/starter lua/library) -type f | LC_ALL=C sort)
TESTS := $(shell find $(or $(ONLY),spec) -name '*_test.c' -o -name '*_spec.lua' \
	2>/dev/null | LC_ALL=C sort)
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(filter %.c,$(TESTS)))

# llhttp: the library where pkg-config knows it, else the C sources in Debian's
# node-llhttp, which are loose unless told to be strict.
ifeq ($(shell pkg-config --exists libllhttp 2>&1 || echo no),)
LLHTTP_CPPFLAGS := $(shell pkg-config --cflags libllhttp)
LLHTTP_LIBS := $(shell pkg-config --libs libllhttp)
else
LLHTTP := $(if $(wildcard /usr/share/llhttp/llhttp.c),,build/llhttp)/usr/share
LLHTTP_SRC := $(addprefix $(LLHTTP)/llhttp/,llhttp.c api.c http.c)
LLHTTP_CPPFLAGS := -DLLHTTP_STRICT_MODE=1 -isystem $(LLHTTP)/include/llhttp
OBJ += $(LLHTTP_SRC:$(LLHTTP)/%.c=$(BUILD)/%.o)
endif

# ---- Flags ----

# $(call once,NAME,COMMAND): the value of NAME, asked for when first needed;
# targets that build nothing need no pkg-config.
once = $(eval $(1) := $(shell $(2) 2>/dev/null))$($(1))
LUA_CPPFLAGS = $(call once,LUA_CPPFLAGS,pkg-config --cflags $(LUA))
LUA_LIBDIR = $(call once,LUA_LIBDIR,pkg-config --variable=libdir $(LUA))
LUA_SHARED = $(call once,LUA_SHARED,pkg-config --libs $(LUA))
LIBRARY_NAMES = $(foreach library,$(LIBRARIES),$(firstword $(subst =, ,$(library))))
LIBRARY_CPPFLAGS = $(call once,LIBRARY_CPPFLAGS,pkg-config --cflags $(LIBRARY_NAMES))
LIBRARY_LIBS = $(call once,LIBRARY_LIBS,pkg-config --libs $(LIBRARY_NAMES))

# Lua is linked statically where its archive is there: one file to copy, and
# calls that need no jump table. The archive goes in whole and its API is
# exported, nothing else is: Lua modules written in C find it in the binary.
LUA_ARCHIVE = $(wildcard $(LUA_LIBDIR)/lib$(LUA:luajit=luajit-5.1).a)
LUA_LIBS = $(if $(LUA_ARCHIVE),$(LUA_ARCHIVE) -lm -ldl,$(LUA_SHARED))
LUA_WHOLE = $(if $(LUA_ARCHIVE),-Wl$(comma)--whole-archive $(LUA_ARCHIVE) \
	-Wl$(comma)--no-whole-archive,$(LUA_SHARED))
EXPORT = -Wl,--export-dynamic-symbol='lua_*' \
	-Wl,--export-dynamic-symbol='luaL_*' \
	-Wl,--export-dynamic-symbol='luaJIT_*' \
	$(if $(SAN),-Wl$(comma)--export-dynamic-symbol='__asan_*' \
	-Wl$(comma)--export-dynamic-symbol='__ubsan_*')

# gcc's two runtimes heed log_path (see spec/run) only where they are one.
SANITIZE = $(if $(SAN),-fsanitize=address$(comma)undefined \
	-fno-sanitize-recover=undefined \
	$(if $(findstring gcc,$(CC)),-static-libasan -static-libubsan))
WARN = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes $(if $(WERROR),-Werror)
DEFINES = -D_GNU_SOURCE -Isrc $(LUA_CPPFLAGS) $(LIBRARY_CPPFLAGS) \
	$(LLHTTP_CPPFLAGS) $(CPPFLAGS)
COMPILE = $(CC) -std=gnu11 -pthread -fvisibility=hidden $(DEFINES) $(SANITIZE) \
	$(CFLAGS) -MMD -MP
LINK_FLAGS = -pthread $(SANITIZE) $(CFLAGS) -Wl,--as-needed $(LDFLAGS)
LIBS = $(LLHTTP_LIBS) $(foreach library,-lev $(LIBRARY_LIBS),$(call linked,$(library))) \
	-lm -ldl

# Small libraries go in whole where their archive is there: each shared one costs
# every start a third of a millisecond. OpenSSL and nghttp2 stay shared, so that
# their fixes arrive with the system's.
SMALL = -lev -lz -lzstd -lbrotlienc
ARCHIVES = $(call once,ARCHIVES,pkg-config --variable=libdir zlib)
linked = $(if $(and $(filter $(1),$(SMALL)),$(wildcard $(ARCHIVES)/lib$(1:-l%=%).a)),$(1:-l%=-l:lib%.a) \
	$(if $(filter -lbrotlienc,$(1)),-l:libbrotlicommon.a),$(1))

# ---- Building ----

# $(call need,TEST,WHAT,PACKAGE): what is missing is one line, not a page of
# errors from the compiler.
need = $(if $(shell { $(1); } >/dev/null 2>&1 || echo no),$(error luaserve: $(2) is \
	missing: apt-get install $(3) (or: make deps)))
define check
$(call need,command -v $(CC),$(CC),$(CC) libc6-dev)
$(call need,command -v pkg-config,pkg-config,pkg-config)
$(call need,pkg-config --exists $(LUA),$(LUA),$(DEV))
$(foreach library,$(LIBRARIES),$(call need,pkg-config --exists \
	$(firstword $(subst =, ,$(library))),$(firstword $(subst =, ,$(library))),$(lastword $(subst =, ,$(library)))))
$(call need,printf '\043include <ev.h>' | $(CC) $(CPPFLAGS) -E -,libev,libev-dev)
endef

# $(call stamp,TEXT): writes TEXT to the target when it is not there already, so
# that what depends on the target is made again when TEXT changes.
# (make 4.3 forgets to cut the last newline of files of some lengths.)
stamp = $(shell mkdir -p $(@D))$(call replace,$(strip $(1)),$(strip $(file <$@)))
replace = $(if $(subst x$(1),,x$(2))$(subst x$(2),,x$(1)),$(file >$@,$(1)))

$(BUILD)/compile.stamp: FORCE
	@: $(strip $(check))$(call stamp,$(COMPILE) $(WARN))
$(BUILD)/modules.stamp: FORCE
	@: $(call stamp,$(LUA_SRC) $(TEXTS))
$(BUILD)/link.stamp: $(BUILD)/compile.stamp FORCE
	@: $(call stamp,$(CC) $(LINK_FLAGS) $(OBJ) $(LUA_WHOLE) $(LIBS))
FORCE:

$(BIN): $(OBJ) $(BUILD)/link.stamp
	@echo "  LINK  $@"
	@$(CC) $(LINK_FLAGS) $(EXPORT) -o $@ $(OBJ) $(LUA_WHOLE) $(LIBS)

$(BUILD)/%.o: src/%.c $(BUILD)/compile.stamp | $(LLHTTP_SRC)
	@echo "  CC    $<"
	@mkdir -p $(@D)
	@$(COMPILE) $(WARN) -c -o $@ $<

# The Lua files become bytecode of the Lua that will run them. Texts are what the
# program writes for users: a new app, the annotations for editors.
$(BUILD)/embed: $(BUILD)/embed.o
	@$(CC) $(LINK_FLAGS) -o $@ $< $(LUA_LIBS)
$(BUILD)/modules.c: $(BUILD)/embed $(LUA_SRC) $(TEXTS) $(BUILD)/modules.stamp
	@echo "  LUA   $@"
	@$< $@ $(LUA_SRC) $(TEXTS)
$(BUILD)/modules.o: $(BUILD)/modules.c
	@$(COMPILE) $(WARN) -c -o $@ $<

$(BUILD)/llhttp/%.o: $(LLHTTP)/llhttp/%.c $(BUILD)/compile.stamp
	@echo "  CC    $<"
	@mkdir -p $(@D)
	@$(COMPILE) -w -c -o $@ $<
build/llhttp/usr/share/llhttp/llhttp.c:
	@.ci/deps unpack node-llhttp build/llhttp
build/llhttp/usr/share/llhttp/%.c: | build/llhttp/usr/share/llhttp/llhttp.c ;
.SECONDARY: $(LLHTTP_SRC)

# Each spec/c/NAME_test.c is a program, given what it calls of the server.
$(BUILD)/luaserve.a: $(OBJ) $(BUILD)/link.stamp
	@rm -f $@
	@ar rcs $@ $(filter-out $(BUILD)/main.o,$(OBJ))
$(BUILD)/spec/%: spec/%.c $(BUILD)/luaserve.a
	@echo "  CC    $<"
	@mkdir -p $(@D)
	@$(COMPILE) $(WARN) -MF $@.d -o $@ $< $(BUILD)/luaserve.a $(LINK_FLAGS) \
		$(LUA_LIBS) $(LIBS)
programs: $(BIN) bindings $(TEST_PROGRAMS)

# Loadable modules: they know script/plugin.h and their library alone, and find
# Lua's functions in the program that loads them.
binding_library = $(word 2,$(subst =, ,$(filter $(1)=%,$(BINDINGS))))
BOUND = $(foreach binding,$(BINDINGS),$(if $(shell pkg-config --exists \
	$(word 2,$(subst =, ,$(binding))) 2>/dev/null && echo yes),$(firstword $(subst =, ,$(binding)))))
bindings: $(BOUND:%=$(BUILD)/bind/%.so)
.SECONDEXPANSION:
$(BUILD)/bind/%.so: $$(wildcard src/bind/$$*.c src/bind/$$*_*.c src/bind/*.h) \
		src/script/plugin.h $(BUILD)/compile.stamp
	@echo "  CC    src/bind/$*.c"
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 -pthread -fvisibility=hidden $(DEFINES) $(SANITIZE) $(CFLAGS) $(WARN) \
		-fPIC -shared $$(pkg-config --cflags $(call binding_library,$*)) -o $@ \
		$(filter %.c,$^) $(LDFLAGS) $$(pkg-config --libs $(call binding_library,$*))

-include $(OBJ:.o=.d) $(BUILD)/embed.d $(TEST_PROGRAMS:=.d) \
	$(wildcard $(BUILD)/spec/fuzz/*.d)

# ---- Running ----

# What the specs and benchmarks are told about the binary.
TOLD = LUASERVE_BIN='$(CURDIR)/$(BIN)' LUASERVE_ENGINE=$(LUA) SAN=$(SAN)

## make run          install what is missing, build, start examples/hello.lua
run: deps
	@$(MAKE) all
	@exec $(BIN) examples/hello.lua

## make test         install what is missing, build, run every test (or ONLY=...)
test: deps-test
	@$(MAKE) programs
	@$(TOLD) SPEC_LUA=$(SPEC_LUA) FILTER='$(FILTER)' RERUN=$(RERUN) LANES=$(LANES) spec/run \
		$(TEST_PROGRAMS) $(filter %.lua,$(TESTS))

## make bench        run the benchmarks of spec/bench
bench: deps-bench
	@$(MAKE) all
	@$(TOLD) spec/bench/run

## make bench-store  what entries of the store and sessions cost, a million of them
bench-store: deps-bench
	@$(MAKE) all
	@$(TOLD) spec/bench/store

## make soak         send REQUESTS (1000000) of each kind and watch the memory
soak: deps-bench
	@$(MAKE) all
	@$(TOLD) spec/bench/soak

## make fuzz         run each fuzzer of spec/fuzz for FUZZ_SECONDS (60) from what
##                   is kept for it; FUZZERS="h1 json" runs these
FUZZERS = $(sort $(patsubst spec/fuzz/%_fuzz.c,%,$(wildcard spec/fuzz/*_fuzz.c)))
FUZZ_SECONDS = 60
FUZZ_BUILD = build/$(LUA)-fuzz
fuzz: deps-fuzz
	@$(MAKE) -s CC=clang SAN=1 BUILD=$(FUZZ_BUILD) \
		CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link' \
		$(FUZZERS:%=$(FUZZ_BUILD)/spec/fuzz/%)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) spec/fuzz/run $(FUZZ_BUILD)/spec/fuzz $(FUZZERS)
$(BUILD)/spec/fuzz/%: spec/fuzz/%_fuzz.c $(BUILD)/luaserve.a
	@echo "  CC    $<"
	@mkdir -p $(@D)
	@$(COMPILE) $(WARN) -MF $@.d -o $@ $< $(BUILD)/luaserve.a -fsanitize=fuzzer \
		$(LINK_FLAGS) $(LUA_LIBS) $(LIBS)

## make lint         check the style and the likely mistakes of C and Lua
C_FILES = $(wildcard src/*.[ch] src/*/*.[ch] spec/c/*.[ch])
lint: deps-lint
	@status=0; \
	luacheck -q --no-color lua spec examples || status=1; \
	clang-format --dry-run -Werror $(C_FILES) || status=1; \
	printf '%s\n' $(filter %.c,$(C_FILES)) | xargs -I FILE -P $(JOBS) \
		clang-tidy --quiet FILE -- -std=gnu11 $(DEFINES) 2>/dev/null || \
		status=1; \
	exit $$status

## make library      bring lua/library, what editors are told, up to date with the
##                   annotations in lua/
library: deps-test
	@$(SPEC_LUA:luajit=luajit) .ci/library.lua

## make format       write the C files in the style of .clang-format
format: deps-lint
	@clang-format -i $(C_FILES)

## make deps         install the Debian packages that a build needs; also
##                   deps-test, deps-lint, deps-bench, deps-fuzz
deps:
	@.ci/deps install $(DEPS)
	@$(if $(LLHTTP),test -e $(LLHTTP) || .ci/deps unpack node-llhttp build/llhttp)
deps-test: deps
	@.ci/deps install $(DEPS_TEST)
deps-lint: deps
	@.ci/deps install $(DEPS_LINT)
deps-bench: deps
	@.ci/deps install $(DEPS_BENCH)
deps-fuzz: deps
	@.ci/deps install $(DEPS_FUZZ)

# ---- Installing ----

SHARE = $(DESTDIR)$(PREFIX)/share/doc/luaserve
EDITORS = $(abspath $(DESTDIR)$(PREFIX)/share/luaserve/library)
PAPERS = $(wildcard README.md CHANGELOG.md LICENSE) $(shell find docs examples -type f)

## make install      to PREFIX (/usr/local) below DESTDIR; make uninstall
install: $(BIN) bindings
	@install -D $(BIN) $(DESTDIR)$(PREFIX)/bin/luaserve
	@for name in $(BOUND); do install -Dm644 $(BUILD)/bind/$$name.so \
		$(DESTDIR)$(PREFIX)/lib/luaserve/$$name.so || exit; done
	@for file in $(PAPERS); do install -Dm644 $$file $(SHARE)/$$file || exit; done
	@cd lua/library && find . -name '*.lua' -exec install -Dm644 {} $(EDITORS)/{} ';'
uninstall:
	@rm -f $(DESTDIR)$(PREFIX)/bin/luaserve
	@rm -rf $(DESTDIR)$(PREFIX)/lib/luaserve $(SHARE) $(DESTDIR)$(PREFIX)/share/luaserve

## make clean        remove what was built; distclean: the downloads as well
clean:
	@rm -rf $(filter-out build/llhttp,$(wildcard build/*))
distclean:
	@rm -rf build

## make help         print this
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

.PHONY: all programs bindings run test bench bench-store soak fuzz lint library format deps deps-test deps-lint \
	deps-bench deps-fuzz install uninstall clean distclean help FORCE
