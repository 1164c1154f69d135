# The two commands: make book, make test. Each makes .venv first, if there is none. If you change
# code: make quick.
PYTHON ?= python3
IN_VENV := . .venv/bin/activate &&
NOTEBOOKS := $(wildcard book/*.ipynb book/solutions/*.ipynb book/exercises/*.ipynb)
# The models are so small that a second thread gains nothing, and on a busy machine the
# threads would wait for each other most of the time.
export OMP_NUM_THREADS := 1

.PHONY: book test quick minutes notebooks cells exercises front-page bench gpu ncf sequences fast features autorec scale own-data sharded surprise icons losses d2l \
    card pictures slides pdf site zip oldest colab lighthouse address clean

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	"Python 3.11 or newer is needed; name one, as in: make book PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(IN_VENV) python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(IN_VENV) python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: .venv/ready
	rm -rf _build/html _build/.doctrees
	$(IN_VENV) jupyter-book build --quiet -W --keep-going .
	$(IN_VENV) python book/slides.py _build/html/slides && python book/pack.py _build/html/notebooks.zip
	@echo "The book is ready: open $(CURDIR)/_build/html/index.html"

test: .venv/ready
	$(IN_VENV) ruff check . && ruff format --check .
	$(IN_VENV) python -m pytest --junit-xml=_build/tests.xml

# Slides of each chapter (20 seconds), in _build/slides; they need no network. `make book` has them, too.
slides: .venv/ready
	rm -rf _build/slides
	$(IN_VENV) python book/slides.py _build/slides
	@echo "The slides are ready: open, for example, $(CURDIR)/_build/slides/mf.html"

# A PDF of the whole book (four minutes), in _build/book.pdf; needs chromium.
pdf: book
	$(IN_VENV) python book/pdf.py _build/html _build/book.pdf

# All that is published: the book with slides, notebooks and PDF, in _build/html.
site: pdf
	cp _build/book.pdf _build/html/

# All notebooks with the package that they need (a second), in _build/notebooks.zip.
zip: .venv/ready
	$(IN_VENV) python book/pack.py _build/notebooks.zip

# The minutes of the last run of all tests, by kind and by page; beside those of another run with
# make minutes REPORTS="before.xml _build/tests.xml".
REPORTS := _build/tests.xml
minutes: .venv/ready
	$(IN_VENV) python benchmarks/minutes.py $(REPORTS)

# The unit tests: no notebooks, no browser, nothing installed, and without the slow ones.
quick: .venv/ready
	$(IN_VENV) python -m pytest tests -m "not (site or colab or slow)"

# Executes every notebook from top to bottom and stores the outputs, which the book shows.
notebooks: .venv/ready
	$(IN_VENV) jupyter nbconvert --to notebook --inplace --execute \
	    --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)
	$(IN_VENV) jupyter nbconvert --to notebook --inplace --coalesce-streams $(NOTEBOOKS)

# Writes what has changed in the package into the cells of the pages that teach it.
cells: .venv/ready
	$(IN_VENV) python book/from_package.py

# Makes the exercises from the solutions, by leaving the answers out, and executes them.
exercises: .venv/ready
	$(IN_VENV) python book/exercises/from_solutions.py
	$(MAKE) notebooks NOTEBOOKS="$(subst solutions,exercises,$(wildcard book/solutions/*.ipynb))"

# Writes the small widget of the front page, from the stored numbers of the page Try It.
front-page: .venv/ready
	$(IN_VENV) python book/front_page.py

# An environment for an extra of setup.py. It sees the packages of .venv, into which nothing is
# installed, and has on top of these what the extra needs: 190 MB for bench, 75 MB for scale.
_build/env-%/ready: .venv/ready setup.py benchmarks/fbgemm-gpu/pyproject.toml
	.venv/bin/python -m venv --clear $(@D)
	ls -d $(CURDIR)/.venv/lib/python3*/site-packages > $(@D)/venv.pth
	mv $(@D)/venv.pth $(@D)/lib/python3*/site-packages
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

# Time to quality beside other libraries (in some 15 minutes), for the front page; ALS with
# 20 million pairs, for dot-product; and u1.test.
# What is done is kept in _build: broken off and started again, it goes on there.
bench: _build/env-bench/ready
	_build/env-bench/bin/python benchmarks/compare.py
	_build/env-bench/bin/python benchmarks/als_large.py
	_build/env-bench/bin/python benchmarks/u1.py

# All that a GPU can run here, and how fast, for the page fast. On a card, `make gpu` is all: the
# times take some ten minutes, the tests five, the notebooks half an hour. What is done is kept
# under _build, and the same command goes on with the rest; where a machine is lent for a while,
# name its minutes, as in `make gpu PARTS=times MINUTES=8`, and take _build along. The files come
# from the cache, D2LREC_DATA or the network. An environment that is there already is used with
# `make -o .venv/ready gpu IN_VENV=`. To try all this without a card: make gpu DEVICE=cpu QUICK=--quick
PARTS := tests times notebooks
gpu: .venv/ready
	$(IN_VENV) python benchmarks/gpu.py $(PARTS) $(QUICK) $(addprefix --device ,$(DEVICE)) \
	    $(addprefix --minutes ,$(MINUTES))

# Trains all ranking models on NCF's files (15 minutes), for the pages gmf and dot-product; then
# NeuMF and its parts (55 minutes), for neumf.
ncf: .venv/ready
	$(IN_VENV) python benchmarks/ncf.py
	$(IN_VENV) python benchmarks/neumf.py

# Trains one model by seven losses (20 minutes on a core), for the page ranking-losses.
losses: .venv/ready
	$(IN_VENV) python benchmarks/losses.py

# Chooses and trains the models of the next film (twenty minutes on two cores), for sequences.
sequences: .venv/ready
	$(IN_VENV) python benchmarks/sequences.py

# Runs D2L's protocols, and repaired a step at a time (twelve minutes on one core), for d2l.
d2l: .venv/ready
	$(IN_VENV) python benchmarks/d2l.py

# Measures the way from the usual loop to the book's (15 minutes, two cores), for the page fast.
fast: .venv/ready
	$(IN_VENV) python benchmarks/fast.py

# Draws Bayesian factorization machines with several kinds of features (half an hour), for features.
features: .venv/ready
	$(IN_VENV) python benchmarks/features.py

# Chooses and trains AutoRec in its variants on five splits (a quarter of an hour), for autorec.
autorec: .venv/ready
	$(IN_VENV) python benchmarks/autorec.py

# Measures what grows with interactions, rows and factors (17 minutes), for the page scale.
scale: .venv/ready
	$(IN_VENV) python benchmarks/scale.py

# Times a reader's own ratings at the sizes of MovieLens 20M and 32M (four minutes), for own-data.
own-data: .venv/ready
	$(IN_VENV) python benchmarks/own_data.py

# Trains MF by one process and by two, with TorchRec (six minutes), for the page scale.
sharded: _build/env-scale/ready
	_build/env-scale/bin/python benchmarks/sharded_runs.py

# Tests the library Surprise on the splits of the page mf-better, which shows the figures.
surprise: _build/env-bench/ready
	_build/env-bench/bin/python benchmarks/surprise_baselines.py

# Draws the pictures of the front page and of Results from the stored runs and the tables of Results.
pictures: .venv/ready
	$(IN_VENV) python benchmarks/pictures.py

# Cuts from the theme's icon fonts (330 kB) the few icons that the pages show (5 kB). An icon that is
# not among them is still found, in the whole font.
ICONS := f002,f010,f019,f03a,f03b,f042,f062,f065,f09b,f0c9,f0eb,f104-f107,f135,f15b,f185,f186,f1c1,f35d
icons: .venv/ready
	$(IN_VENV) for font in solid-900 brands-400; do \
	    pyftsubset .venv/lib/python3*/site-packages/pydata_sphinx_theme/theme/*/static/vendor/*/webfonts/fa-$$font.ttf \
	        --unicodes=$(ICONS) --flavor=woff --name-IDs='*' --output-file=book/assets/icons-$$font.woff; done

# The tests that need only the package, with the oldest versions that pyproject.toml allows; in an
# environment of their own, of 7 GB where torch brings CUDA along (make clean removes it).
FLOORS = $$(sed -n 's/^ *"\(.*\)>=\(.*\)",.*/\1==\2/p' pyproject.toml)
TOOLS := pytest|pytest-xdist|nbval|hypothesis|trustme|pyyaml|matplotlib
oldest:
	$(PYTHON) -m venv _build/oldest
	_build/oldest/bin/python -m pip install --quiet --disable-pip-version-check \
	    $(FLOORS) $$(grep -E '^($(TOOLS))==' requirements.txt)
	_build/oldest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	_build/oldest/bin/python -m pip list --disable-pip-version-check | \
	    grep -E '^(torch|numpy|pandas|pooch|tqdm) ' && _build/oldest/bin/python --version
	_build/oldest/bin/python -m pytest tests -m "not (site or colab)" \
	    $(patsubst %,--ignore=tests/test_%.py,address benchmarks book package results sharded slides)

# Draws the picture that is shown where the front page is shared.
card: .venv/ready
	$(IN_VENV) python book/card.py

# Runs every notebook alone, as on Colab, and compares with the minutes that it states (an hour).
colab: .venv/ready
	$(IN_VENV) D2LREC_ALL_PAGES=1 python -m pytest -n0 -rP tests/test_colab.py

# Lighthouse's marks for a few pages (in five minutes); needs node and chromium, as no test does.
lighthouse: book
	$(IN_VENV) python tests/lighthouse.py

# For a fork: puts its address in the place of this one, in every file, and that of its GitHub Pages.
# $(value) takes the address as it is: neither make nor a shell reads what stands in it.
override URL := $(value URL)
export URL
address:
	@$(PYTHON) book/address.py
	@git --no-pager diff --stat

clean:
	rm -rf .venv _build
