# make deb    Debian packages, into build-deb/deb
BUILD_DEB ?= build-deb

deb:
	$(MAKE) -s BUILD=$(BUILD_DEB) PREFIX=/usr programs manuals
	sh packaging/deb/build.sh $(BUILD_DEB) $(VERSION)

.PHONY: deb
