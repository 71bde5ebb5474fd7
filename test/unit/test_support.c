/* Progress of a long run, and programs run by ours. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ir/support/support.h"
#include "test/unit/check.h"

static const char *written(hct_arena *arena, FILE *file) {
  char text[4096];
  rewind(file);
  size_t length = fread(text, 1, sizeof text - 1, file);
  return hct_arena_strndup(arena, text, length);
}

/* Nothing before two seconds; then one line, which a diagnostic replaces; nothing where it is not asked for and there is no terminal. */
static void test_progress(void) {
  hct_arena *arena = hct_arena_create();
  FILE *asked = tmpfile(), *unasked = tmpfile();
  CHECK(asked && unasked && setenv("HECATON_PROGRESS", "1", 1) == 0);
  hct_diags *loud = hct_diags_create(asked);
  CHECK(unsetenv("HECATON_PROGRESS") == 0);
  hct_diags *quiet = hct_diags_create(unasked);
  hct_progress(loud, "early");
  CHECK(!strcmp(written(arena, asked), ""));
  nanosleep(&(struct timespec){2, 100000000}, NULL);
  hct_progress(loud, "step %d", 7);
  hct_progress(loud, "too soon after");
  hct_progress(quiet, "step %d", 7);
  CHECK(!strcmp(written(arena, asked), "\r\033[Kstep 7"));
  hct_error(loud, HCT_E_IO, (hct_loc){.file = "f"}, "bad");
  CHECK(!strcmp(written(arena, asked), "\r\033[Kstep 7\r\033[Kf: error[E0101]: bad\n"));
  CHECK(!strcmp(written(arena, unasked), ""));
  hct_diags_destroy(loud);
  hct_diags_destroy(quiet);
  fclose(asked);
  fclose(unasked);
  hct_arena_destroy(arena);
}

static void test_processes(void) {
  hct_diags *diags = hct_diags_create(NULL);
  hct_arena *arena = hct_arena_create();
  char *folder;
  int code = 0;
  CHECK(hct_temporary_folder(diags, arena, &folder) == HCT_OK);
  char *const where[] = {"sh", "-c", "pwd > out; exit 3", NULL}, *const killed[] = {"sh", "-c", "kill -9 $$", NULL}, *const absent[] = {"/no/such/program", NULL};
  CHECK(hct_process_run(diags, &(hct_process){.arguments = where, .folder = folder}, &code) == HCT_OK && code == 3);
  const char *out = hct_arena_printf(arena, "%s/out", folder);
  CHECK(access(out, R_OK) == 0 && unlink(out) == 0 && rmdir(folder) == 0);
  CHECK(hct_process_run(diags, &(hct_process){.arguments = killed}, &code) == HCT_OK && code == 128 + 9);
  CHECK(hct_process_run(diags, &(hct_process){.arguments = absent}, &code) == HCT_FAILED && strstr(hct_diags_text(diags), "/no/such/program"));
  hct_arena_destroy(arena);
  hct_diags_destroy(diags);
}

/* Relative names lead back to the file, through links too, and for files that are not there yet. */
static void test_paths(void) {
  hct_diags *diags = hct_diags_create(NULL);
  hct_arena *arena = hct_arena_create();
  char *top;
  int code = 0;
  CHECK(hct_temporary_folder(diags, arena, &top) == HCT_OK);
  char *const make[] = {"sh", "-c", "mkdir -p a/b ab && echo > a/file && ln -s a/b link", NULL}, *const drop[] = {"rm", "-r", "a", "ab", "link", NULL};
  CHECK(hct_process_run(diags, &(hct_process){.arguments = make, .folder = top}, &code) == HCT_OK && code == 0);
  static const struct { const char *path, *folder, *relative; } cases[] = {
      {"a/file", "a", "file"}, {"a/file", ".", "a/file"}, {"a/file", "a/b", "../file"}, {"a/file", "link", "../file"}, {"a/file", "ab", "../a/file"},
      {"link/new", ".", "a/b/new"}, {"a/no/such", "ab", "../a/no/such"}, {"ab", "a", "../ab"},
  };
  for (size_t i = 0; i < HCT_COUNT(cases); i++)
    CHECK(!strcmp(hct_path_relative(arena, hct_path_join(arena, top, cases[i].path), hct_path_join(arena, top, cases[i].folder)), cases[i].relative));
  CHECK(!strcmp(hct_path_folder(arena, "file"), ".") && !strcmp(hct_path_folder(arena, "/file"), "/") && !strcmp(hct_path_folder(arena, "a/b/file"), "a/b"));
  CHECK(!strcmp(hct_path_join(arena, ".", "a"), "a") && !strcmp(hct_path_join(arena, "/", "a"), "/a") && !strcmp(hct_path_join(arena, "b", "/a"), "/a"));
  CHECK(!hct_path_resolve(arena, hct_path_join(arena, top, "no")));
  CHECK(hct_process_run(diags, &(hct_process){.arguments = drop, .folder = top}, &code) == HCT_OK && code == 0 && rmdir(top) == 0);
  hct_arena_destroy(arena);
  hct_diags_destroy(diags);
}

static void test_arena_adopts_what_another_holds(void) {
  hct_arena *arena = hct_arena_create(), *other = hct_arena_create();
  char *kept = hct_arena_strdup(other, "kept"), *large = hct_arena_alloc(other, 1 << 20);
  hct_arena_adopt(arena, other);
  large[(1 << 20) - 1] = 7;
  CHECK(!strcmp(kept, "kept") && !strcmp(hct_arena_strdup(arena, "more"), "more"));
  hct_arena_adopt(arena, hct_arena_create());
  hct_arena_destroy(arena);
}

/* Arrows and comparisons close nothing, while brackets in strings, after an escaped quote too, and in comments are none. */
static void test_nesting(void) {
  static const struct { const char *text; size_t depth; } cases[] = {
      {"", 0}, {"(a)[b]{c}<d>", 1}, {"({[<a>]})", 4}, {")))((", 2}, {"{ () -> ((a)) }", 3}, {"({<(d0) : (d0 >= 0)>})", 4}, {"{ (x >= y) {a -> {", 3},
      {"{\"(((\"}", 1}, {"{\"a\\\"(((\"}", 1}, {"{ // (((\n(", 2}, {"{ / (", 2}, {"\"(", 0}, {"\"\\", 0}, {"((\n//", 2},
  };
  for (size_t i = 0; i < HCT_COUNT(cases); i++) CHECK(hct_text_nesting(cases[i].text, strlen(cases[i].text)) == cases[i].depth);
}

static void test_percents(void) {
  static const struct { const char *text; int64_t percent; } cases[] = {{"1%", 1}, {"50%", 50}, {"100%", 100}, {"", 0}, {"%", 0}, {"5", 0}, {"0%", 0}, {"101%", 0}, {"-5%", 0}, {"5%%", 0}, {"1.5%", 0}, {" 5%", 0}, {"99999999999999999999%", 0}};
  for (size_t i = 0; i < HCT_COUNT(cases); i++) {
    int64_t percent = 0;
    CHECK(hct_parse_percent(cases[i].text, &percent) == (cases[i].percent != 0) && (!cases[i].percent || percent == cases[i].percent));
  }
}

int main(void) {
  test_arena_adopts_what_another_holds();
  test_nesting();
  test_paths();
  test_percents();
  test_progress();
  test_processes();
  return 0;
}
