# Deformable convolution on the CPU: defined (ref/), fast (opt/), judged (verify/).
#
#   make deps verify   install what is missing, build, verify against PyTorch
#   make check         install what is missing, build, run every test
#   make help          everything else
#
# Variables: CC=gcc|clang   SAN=address,undefined   BUILD=dir   FILTER=text   JUNIT=dir   V=1

CC      ?= cc
PYTHON  ?= python3
BUILD   ?= build$(if $(SAN),/san)$(if $(findstring clang,$(CC)),/clang)
VENV    ?= .venv
VERSION := 0.1.0
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
Q       := $(if $(V),,@)
TORCH   ?= 2.13.0

WARN     = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes
CFLAGS  ?= -O2 -g
SANFLAGS = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# One library serves static and shared linking: position-independent throughout.
BASE     = -std=c11 -D_GNU_SOURCE $(WARN) $(CFLAGS) $(SANFLAGS) -fPIC -I. -MMD -MP
# The definition rounds after every operation, on every compiler.
REFFLAGS = $(BASE) -ffp-contract=off
HDF5_CFLAGS = $(shell pkg-config --cflags hdf5 2>/dev/null || pkg-config --cflags hdf5-serial)
HDF5_LIBS   = $(shell pkg-config --libs hdf5 2>/dev/null || pkg-config --libs hdf5-serial)
OPENMP   = -fopenmp
# ONEDNN= builds without it; the fast side then has its own products only, and no gradients.
ONEDNN  ?= $(shell printf '\043include <dnnl.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 && echo 1)
# ONEDNN_DIR: where it lies when it is not the distribution's.
LDLIBS   = $(OPENMP) $(HDF5_LIBS) $(ONEDNN_DIR:%=-L%/lib) $(ONEDNN_DIR:%=-Wl,-rpath,%/lib) $(if $(ONEDNN),-ldnnl) -lz -lcjson -lpthread -lm

# ref/: files that include row.h are compiled in both precisions.
REF_TWICE := $(shell grep -l '"row.h"' ref/*.c)
REF_ONCE  := $(filter-out $(REF_TWICE),$(wildcard ref/*.c))
REF_OBJ   := $(REF_TWICE:%.c=$(BUILD)/%.32.o) $(REF_TWICE:%.c=$(BUILD)/%.64.o) \
             $(REF_ONCE:%.c=$(BUILD)/%.o)
# opt/: every kernel is compiled once per ISA.
ISA_generic = -O3
ISA_avx2    = -O3 -mavx2 -mfma
ISA_avx512  = -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
ISAS      := $(if $(filter x86_64,$(shell uname -m)),generic avx2 avx512,generic)
KERNELS   := $(wildcard opt/kernels/*.c)
KERNEL_OBJ := $(foreach isa,$(ISAS),$(KERNELS:opt/kernels/%.c=$(BUILD)/opt/$(isa)/%.o))
OPT_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard opt/*.c)) $(KERNEL_OBJ)
DATA_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard datasets/*.c))
VERIFY_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out verify/main.c verify/tests/% verify/fuzz/%,$(wildcard verify/*.c verify/*/*.c)))
TESTS     := $(patsubst verify/tests/%.c,$(BUILD)/tests/%,$(wildcard verify/tests/test_*.c))
PROGRAM   := $(BUILD)/internimage
LIBRARY   := $(BUILD)/libinternimage.a $(BUILD)/libinternimage.so
OBJECTS   := $(REF_OBJ) $(OPT_OBJ) $(DATA_OBJ) $(VERIFY_OBJ) $(BUILD)/verify/main.o

.PHONY: all force help deps verify verify-full check check-unit check-avx512 check-isa check-threads mutant instructions cycles tables figures mistakes example bench-rivals goldens goldens-check venv clean fuzz fuzzers
all: $(PROGRAM) $(LIBRARY)

help:
	@sed -n '3,7s/^# *//p' Makefile
	@echo 'make tables         the tables of the paper, recomputed'
	@echo 'make check-unit     the cmocka tests alone'
	@echo 'make fuzz           the readers of files from outside, fuzzed for 60 seconds (ci/fuzz: longer)'
	@echo 'make check-avx512   AVX-512 in an emulated CPU (ci/deps emulator); and which registers are used'
	@echo 'make cycles         llvm-mca on the inner loops (Debian: llvm-19 knows Zen 4)'
	@echo 'make instructions   record the instruction counts that ci/instructions compares with'
	@echo 'make install        PREFIX, LIBDIR, DESTDIR; make dist: the tarball'
	@echo 'make install-test   a tarball built, installed into an empty root and run there'
	@echo 'make check-onednn3  built against oneDNN 3 (PyPI) and verified with it'
	@echo 'make plots          the plots of results/, redrawn from its records'
	@echo 'make check-threads  ThreadSanitizer over the plans (clang)'
	@echo 'make example        a program of 50 lines on the library, built and run'
	@echo 'make figures        the pictures of docs/, redrawn'
	@echo 'make mistakes       docs/mistakes.md from the catalogue'
	@echo 'make verify-full    S, B, L, XL at 224 and H reduced (PyTorch, 10 GB, minutes)'
	@echo 'make bench-rivals   PyTorch, ONNX Runtime and OpenVINO beside ours, in one run'
	@echo 'make goldens        remake all golden files with PyTorch'
	@echo 'make goldens-check  test the PyTorch side; remake a golden file, compare it with the committed one'

# --- build ---------------------------------------------------------------------

# Which build this is (verify/about.c). Rewritten only when it changed.
COMMIT   := $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),$(shell grep -v Format ci/commit | cut -c1-12),unknown)$(if $(shell git status --porcelain -uno 2>/dev/null),+)
$(BUILD)/build.h: force
	@mkdir -p $(@D)
	@printf '#define BUILD_VERSION "%s"\n#define BUILD_COMMIT "%s"\n#define BUILD_FLAGS "%s"\n' \
	    '$(VERSION)' '$(COMMIT)' '$(strip $(CFLAGS) $(SANFLAGS))' >$@.new
	@cmp -s $@.new $@ || cp $@.new $@
	@rm -f $@.new
force:
$(BUILD)/verify/about.o: $(BUILD)/build.h
$(BUILD)/verify/about.o: private BASE += -I$(BUILD) $(HDF5_CFLAGS)

$(BUILD)/ref/%.32.o: ref/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(REFFLAGS) -DREF_BITS=32 -c $< -o $@

$(BUILD)/ref/%.64.o: ref/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(REFFLAGS) -DREF_BITS=64 -c $< -o $@

$(BUILD)/ref/%.o: ref/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(REFFLAGS) -c $< -o $@

$(BUILD)/opt/%.o: opt/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(OPENMP) $(if $(ONEDNN),-DHAVE_ONEDNN) $(ONEDNN_DIR:%=-I%/include) -c $< -o $@

define kernel_rule
$(BUILD)/opt/$(1)/%.o: opt/kernels/%.c
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(BASE) -ffp-contract=fast $$(ISA_$(1)) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call kernel_rule,$(isa))))

$(BUILD)/datasets/%.o: datasets/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(HDF5_CFLAGS) -c $< -o $@

$(BUILD)/verify/%.o: verify/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(OPENMP) -c $< -o $@

$(PROGRAM): $(OBJECTS)
	$(Q)$(CC) $(SANFLAGS) $(filter %.o,$^) $(LDLIBS) -o $@

$(BUILD)/libinternimage.a: $(REF_OBJ) $(OPT_OBJ) $(DATA_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# Only the public header's functions are visible. Its name changes when they change.
SONAME   := libinternimage.so.0
$(BUILD)/libinternimage.so: $(REF_OBJ) $(OPT_OBJ) $(DATA_OBJ) opt/internimage.map
	$(Q)$(CC) -shared $(SANFLAGS) -Wl,--as-needed -Wl,-soname,$(SONAME) -Wl,--version-script=opt/internimage.map $(filter %.o,$^) $(LDLIBS) -o $@
	$(Q)ln -sf $(@F) $(@D)/$(SONAME)

# The example, against the shared library; and the header as C++.
example: $(PROGRAM) $(LIBRARY)
	$(CC) docs/example.c -Iopt -L$(BUILD) -linternimage -Wl,-rpath,$(abspath $(BUILD)) -o $(BUILD)/example
	printf '\043include "opt/internimage.h"\nint main() { internimage_free(nullptr); return 0; }\n' | $(CXX) -x c++ -std=c++11 -Wall -Wextra -Werror -I. -fsyntax-only -
	$(PROGRAM) weights t -o $(BUILD)/t.h5
	$(BUILD)/example $(BUILD)/t.h5 datasets/photo/astronaut_224.ppm

$(BUILD)/tests/%: verify/tests/%.c $(REF_OBJ) $(OPT_OBJ) $(DATA_OBJ) $(VERIFY_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(HDF5_CFLAGS) $(filter %.c %.o,$^) $(LDLIBS) -lcmocka -o $@

# The plug-in of docs/plugins.md, and the same with a mistake; the header as C++.
PLUGINS := $(BUILD)/tests/plugin_right.so $(BUILD)/tests/plugin_wrong.so
$(BUILD)/tests/plugin_right.so: docs/plugin.c verify/port/plugin.h
$(BUILD)/tests/plugin_wrong.so: verify/tests/plugin_wrong.c docs/plugin.c verify/port/plugin.h
$(PLUGINS):
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) -Iverify/port -shared $(firstword $^) -lm -o $@
	$(Q)printf '\043include "verify/port/plugin.h"\nint main() { return 0; }\n' | $(CXX) -x c++ -std=c++11 -Wall -Wextra -Werror -I. -fsyntax-only -

# Other flags are another build.
$(OBJECTS): Makefile
-include $(OBJECTS:.o=.d) $(TESTS:=.d)

# --- install and release -------------------------------------------------------

.PHONY: install dist install-test check-onednn3 plots
install: $(PROGRAM) $(LIBRARY)
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(PREFIX)/include $(LIBDIR)/pkgconfig \
	    $(PREFIX)/share/man/man1 $(PREFIX)/share/bash-completion/completions)
	install $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/internimage
	install -m 644 opt/internimage.h $(DESTDIR)$(PREFIX)/include/internimage.h
	install -m 644 $(BUILD)/libinternimage.a $(DESTDIR)$(LIBDIR)/libinternimage.a
	install $(BUILD)/libinternimage.so $(DESTDIR)$(LIBDIR)/$(SONAME).$(VERSION)
	ln -sf $(SONAME).$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libinternimage.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(strip $(LDLIBS))|' \
	    opt/internimage.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/internimage.pc
	docs/manual $(PROGRAM) $(VERSION) >$(BUILD)/internimage.1
	install -m 644 $(BUILD)/internimage.1 $(DESTDIR)$(PREFIX)/share/man/man1/internimage.1
	install -m 644 docs/internimage.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/internimage

# What is committed, the same bytes every time: git takes times from the commit.
dist:
	@mkdir -p $(BUILD)
	git archive --format=tar --prefix=internimage-$(VERSION)/ HEAD | gzip -n9 >$(BUILD)/internimage-$(VERSION).tar.gz
	@sha256sum $(BUILD)/internimage-$(VERSION).tar.gz

install-test:
	ci/install-test || [ $$? = 77 ]

check-onednn3:
	PYTHON=$(PYTHON) ci/onednn3 || [ $$? = 77 ]

# --- run -----------------------------------------------------------------------

deps:
	ci/deps

# Asked for together with other goals, deps comes first.
ifneq ($(filter deps,$(MAKECMDGOALS)),)
$(OBJECTS) $(TESTS): | deps
endif

verify: $(PROGRAM)
	$(PROGRAM) verify $(if $(FILTER),--filter '$(FILTER)')

# A table that differs from the paper without a stated reason fails.
TABLES    = params models stacking scaling sharing kernel dcnv2 ablations learned
tables: $(PROGRAM)
	@mkdir -p results/tables
	@for t in $(TABLES); do $(PROGRAM) tables $$t >results/tables/$$t.txt || exit 1; done
	@cat results/tables/params.txt; echo; echo 'all of them: results/tables/'

check: deps
	ci/check

# JUNIT: a folder for cmocka's reports, one file per program; cmocka calls each suite "tests",
# and does not write over a file.
check-unit: $(TESTS) $(PROGRAM) $(LIBRARY) $(PLUGINS)
	@$(if $(JUNIT),mkdir -p $(JUNIT);) failed=; for t in $(TESTS); do \
	    echo "== $$t"; name=$$(basename $$t); xml=$(JUNIT)/$$name.xml; \
	    $(if $(JUNIT),rm -f $$xml; export CMOCKA_MESSAGE_OUTPUT=xml CMOCKA_XML_FILE=$$xml;) \
	    INTERNIMAGE=$(PROGRAM) $$t || failed="$$failed $$name"; \
	    $(if $(JUNIT),sed -i "s/<testsuite name=\"tests\"/<testsuite name=\"$$name\"/" $$xml;) \
	done; [ -z "$$failed" ] || { echo "FAILED:$$failed"; exit 1; }

# The AVX-512 kernels in an emulated CPU, beside a build where DCNv3's exchanges the upper
# and the lower weights of a point. And no wide registers where they may be missing.
MUTANT   := $(BUILD)/mutant
$(MUTANT)/dcnv3.c: opt/kernels/dcnv3.c
	@mkdir -p $(@D)
	sed 's/const vf down = ly \* m, up = m - down;/const vf up = ly * m, down = m - up;/; s|"\.\./|"opt/|' $< >$@
	@test `diff $< $@ | grep -c '^> .*const vf up'` = 1

$(MUTANT)/internimage: $(MUTANT)/dcnv3.c $(OBJECTS)
	$(Q)$(CC) $(BASE) -ffp-contract=fast $(ISA_avx512) -c $< -o $(MUTANT)/dcnv3.o
	$(Q)$(CC) $(SANFLAGS) $(filter-out $(BUILD)/opt/avx512/dcnv3.o,$(OBJECTS)) $(MUTANT)/dcnv3.o $(LDLIBS) -o $@

mutant: $(PROGRAM) $(MUTANT)/internimage

check-avx512: mutant check-isa
	ci/avx512 $(PROGRAM) $(MUTANT)/internimage || [ $$? = 77 ]

# ThreadSanitizer over the plans: clang's OpenMP tells it of its barriers (Archer).
check-threads:
	$(MAKE) CC=clang SAN=thread BUILD=$(BUILD)/threads $(BUILD)/threads/tests/test_plan
	OMP_TOOL_LIBRARIES=`ls /usr/lib/llvm-*/lib/libarcher.so | tail -1` \
	    TSAN_OPTIONS=ignore_noninstrumented_modules=1 $(BUILD)/threads/tests/test_plan

check-isa: $(KERNEL_OBJ)
	@for k in $(KERNELS:opt/kernels/%.c=%); do \
	    z512=`objdump -d $(BUILD)/opt/avx512/$$k.o | grep -c zmm`; \
	    z2=`objdump -d $(BUILD)/opt/avx2/$$k.o | grep -c zmm`; y0=`objdump -d $(BUILD)/opt/generic/$$k.o | grep -c '[yz]mm'`; \
	    echo "$$k: zmm in avx512 $$z512, in avx2 $$z2; ymm or zmm in generic $$y0"; \
	    [ $$z2 = 0 ] && [ $$y0 = 0 ] && { [ $$z512 != 0 ] || [ $$k = table ]; } || exit 1; \
	done

# The recorded instruction counts, after a change that is meant.
instructions: $(PROGRAM)
	ci/instructions --update

# Programs with one kernel made slow, or rough (ci/plants.c): plant/slow-gelu.
$(BUILD)/plant/%: ci/plants.c $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) -ffunction-sections -DPLANT_$(if $(filter slow-%,$*),SLOW,ROUGH) -c $< -o $@.o
	$(Q)$(CC) $(SANFLAGS) -Wl,--wrap=$(lastword $(subst -, ,$*))_avx2 -Wl,--gc-sections \
	    $(filter %.o,$^) $@.o $(LDLIBS) -o $@

# Static cycle counts of the inner loops, for CPUs that are not here.
cycles:
	ci/cycles $(CC) >results/cycles.txt; s=$$?; cat results/cycles.txt; [ $$s = 0 ] || [ $$s = 77 ]

# libFuzzer targets: the readers and what they stand on, instrumented (see ci/fuzz).
fuzz:
	ci/fuzz 60

fuzzers:
	$(Q)$(MAKE) CC=clang BUILD=build/fuzz SAN=address,undefined,fuzzer-no-link build/fuzz/fuzz_tensors build/fuzz/fuzz_schema

$(BUILD)/fuzz_%: verify/fuzz/fuzz_%.c verify/fuzz/fuzz.c $(REF_OBJ) $(DATA_OBJ)
	$(Q)$(CC) $(BASE) $(HDF5_CFLAGS) -fsanitize=fuzzer $^ $(HDF5_LIBS) -lhdf5_hl -lz -lm -o $@

# The plots of results/ from the records beside them (results/measure makes those anew).
PLOTS := sizes batches variants roofline errors history
BANDWIDTH = $(shell sed -n 's/^1 thread.*read \([0-9.]*\) GB.*/\1/p' results/machine.txt)
plots: $(PLOTS:%=results/%.png) results/ablations.png
results/ablations.png: results/ablations.jsonl docs/ablations.gp $(PROGRAM)
	$(PROGRAM) ablate --plot --data fashion-mnist --out $< >$(BUILD)/ablations
	gnuplot -e "data='$(BUILD)/ablations'; out='$@'" docs/ablations.gp
$(BUILD)/plots/%: results/%.json results/columns
	@mkdir -p $(@D)
	results/columns $(filter %.json,$^) >$@
$(BUILD)/plots/variants: results/h.json
$(BUILD)/plots/roofline: results/ops.json results/layers.json results/columns
	@mkdir -p $(@D)
	results/columns $(filter %.json,$^) >$@
$(BUILD)/plots/errors $(BUILD)/plots/history: $(BUILD)/plots/%: results/%.txt
	@mkdir -p $(@D)
	cp $< $@
$(BUILD)/plots/rivals: $(wildcard results/rivals*.json) results/rivals
	@mkdir -p $(@D)
	results/rivals $(filter %.json,$^) >$@
results/%.png: $(BUILD)/plots/% results/%.gp results/style.gp $(BUILD)/plots/rivals
	gnuplot -e "data='$<'; out='$@'; bandwidth=$(BANDWIDTH)+0; rivals='$(BUILD)/plots/rivals'" results/$*.gp

# The page of the catalogue; a test says when it is stale.
mistakes: $(PROGRAM)
	$(PROGRAM) explain --markdown >docs/mistakes.md

figures: $(PROGRAM)
	$(PROGRAM) plot sampling --layer levels.2.blocks.8.dcn --pixel 0.334,0.5 >$(BUILD)/sampling.txt
	gnuplot -e "data='$(BUILD)/sampling.txt'; photo='datasets/photo/astronaut_224.ppm'; out='docs/sampling.png'" docs/sampling.gp

# The paper's appendix for a trained model: WEIGHTS and the set it was trained on.
WEIGHTS  ?= datasets/weights/pico_fashion_mnist.h5
DATA     ?= fashion-mnist
SIZE     ?= 48
A         = results/analyses
.PHONY: analyses
analyses: $(PROGRAM)
	@mkdir -p $(A)
	$(PROGRAM) erf --data $(DATA) --size $(SIZE) --maps $(BUILD)/before.txt >$(A)/erf-before.txt
	$(PROGRAM) erf --data $(DATA) --weights $(WEIGHTS) --maps $(BUILD)/after.txt >$(A)/erf-after.txt
	gnuplot -e "before='$(BUILD)/before.txt'; after='$(BUILD)/after.txt'; size=$(SIZE); out='$(A)/erf.png'" docs/erf.gp
	for s in 1 2 3 4; do $(PROGRAM) plot sampling --data $(DATA) --weights $(WEIGHTS) --stage $$s --pixel 0.5,0.5 >$(BUILD)/stage$$s || exit 1; done
	gnuplot -e "data='$(BUILD)/stage'; size=$(SIZE); out='$(A)/sampling.png'" docs/sampling_stages.gp
	$(PROGRAM) robustness --data $(DATA) --images 500 --plot $(BUILD)/robustness.txt $(WEIGHTS) >$(A)/robustness.txt
	gnuplot -e "data='$(BUILD)/robustness.txt'; models='trained'; out='$(A)/robustness.png'" docs/robustness.gp

# --- PyTorch: only to make goldens ---------------------------------------------

venv: $(VENV)/ready
$(VENV)/ready:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check torch==$(TORCH) numpy h5py
	touch $@

goldens: venv
	$(VENV)/bin/python datasets/torch/make_goldens.py --out datasets/goldens

goldens-check: venv
	@mkdir -p $(BUILD)/goldens
	cd datasets/torch && ../../$(VENV)/bin/python -m unittest test_torch
	$(VENV)/bin/python datasets/torch/make_goldens.py --out $(BUILD)/goldens --only pico
	$(VENV)/bin/python datasets/torch/compare_goldens.py datasets/goldens/pico.h5 $(BUILD)/goldens/pico.h5

bench-rivals: venv $(PROGRAM)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check onnx onnxruntime openvino ncnn || echo 'SKIPPED: a rival could not be installed'
	TMPDIR=$(BUILD) $(VENV)/bin/python verify/rivals.py --program $(PROGRAM) --out results/rivals.json

verify-full: venv $(PROGRAM)
	@mkdir -p $(BUILD)/goldens
	$(VENV)/bin/python datasets/torch/make_goldens.py --out $(BUILD)/goldens --only full
	$(PROGRAM) verify --goldens $(BUILD)/goldens

clean:
	rm -rf build
