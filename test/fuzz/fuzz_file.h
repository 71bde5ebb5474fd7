/* Readers take paths: the bytes under test become an anonymous file. */
#ifndef HCT_TEST_FUZZ_FILE_H
#define HCT_TEST_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int fuzz_file_open(const uint8_t *data, size_t bytes, char *out_path, size_t capacity) {
  int fd = memfd_create("fuzz", 0);
  if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes) abort();
  snprintf(out_path, capacity, "/proc/self/fd/%d", fd);
  return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
