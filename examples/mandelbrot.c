/* mandelbrot.c -- a picture, drawn in tiles by the processors of many hosts.
 *
 *     mandelbrot PICTURE.png [AGENTS.png [WIDTH HEIGHT]]
 *
 * draws a place deep in the Mandelbrot set. AGENTS.png is the same picture, each tile in the colour
 * of the agent that computed it: with one slow host and one fast one you see who did what.
 *
 * Tiles take from no time to a second each. Nobody divides them up beforehand: whoever is done
 * gets the next ones. This program is what runs on the hosts, so libpng must be there, too.
 */

#include <reeve.h>

#include <inttypes.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TILE = 60,         /* pixels, each way */
    SAMPLES = 3,       /* of a pixel, each way */
    ITERATIONS = 6000, /* a point that is not gone by then belongs to the set */
    AGENTS_MAX = 64,
};

static const double centre_x = -0.743643887037151;
static const double centre_y = 0.131825904205330;
static const double across = 0.000051299; /* from the left edge to the right one */

/* ---- what runs on the hosts: a tile in, its pixels out ---- */

struct tile {
    int64_t x, y, width, height; /* in pixels of the picture */
    int64_t picture_width, picture_height;
};

/* How many steps it takes to get away, as a number that has no bands; negative: never. */
static double escape(double cx, double cy)
{
    double x = 0;
    double y = 0;

    for (int i = 0; i < ITERATIONS; i++) {
        double xx = x * x;
        double yy = y * y;

        if (xx + yy > 256)
            return i + 1 - log2(log2(xx + yy) / 2);
        y = 2 * x * y + cy;
        x = xx - yy + cx;
    }
    return -1;
}

/* Night, ice, white, gold, ember, and round again; what never gets away is black. */
static void add_colour(double rgb[3], double steps)
{
    static const double stops[][4] = {{0.00, 3, 7, 60},      {0.16, 32, 107, 203},
                                      {0.42, 237, 255, 255}, {0.64, 255, 170, 0},
                                      {0.86, 70, 8, 24},     {1.00, 3, 7, 60}};
    double at = 0;
    double part = 0;
    size_t i = 0;

    if (steps < 0)
        return;
    at = 1.9 * log2(steps + 2) + 0.15; /* steps grow without end; their logarithm does it slowly */
    at -= floor(at);
    while (at > stops[i + 1][0])
        i++;
    part = (at - stops[i][0]) / (stops[i + 1][0] - stops[i][0]);
    part = part * part * (3 - 2 * part);
    for (size_t c = 0; c < 3; c++)
        rgb[c] += stops[i][c + 1] + part * (stops[i + 1][c + 1] - stops[i][c + 1]);
}

static void draw_pixel(uint8_t out[3], const struct tile *tile, int64_t x, int64_t y)
{
    double step = across / (double)tile->picture_width;
    double rgb[3] = {0};

    for (int i = 0; i < SAMPLES * SAMPLES; i++) {
        double px = (double)x + (i % SAMPLES + 0.5) / SAMPLES;
        double py = (double)y + (i / SAMPLES + 0.5) / SAMPLES;

        add_colour(rgb, escape(centre_x + (px - (double)tile->picture_width / 2) * step,
                               centre_y - (py - (double)tile->picture_height / 2) * step));
    }
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)(rgb[c] / (SAMPLES * SAMPLES) + 0.5);
}

static reeve_err draw(reeve_task *task, const reeve_value *in, reeve_builder *out)
{
    static uint8_t pixels[TILE * TILE * 3];
    uint8_t *at = pixels;
    struct tile t;

    if (reeve_unpack(in, "(iiiiii)", &t.x, &t.y, &t.width, &t.height, &t.picture_width,
                     &t.picture_height) != REEVE_OK ||
        t.width < 0 || t.width > TILE || t.height < 0 || t.height > TILE)
        return reeve_task_fail(task, "draw wants a tile");
    for (int64_t y = 0; y < t.height; y++)
        for (int64_t x = 0; x < t.width; x++, at += 3)
            draw_pixel(at, &t, t.x + x, t.y + y);
    return reeve_put_bytes(out, pixels, (size_t)(at - pixels));
}
REEVE_FUNCTION(draw);

/* ---- the picture ---- */

struct picture {
    int64_t width, height;
    uint8_t *pixels, *by_agent; /* three bytes a pixel */
    int64_t given, done;        /* tiles */
    struct {
        char name[64];
        int64_t tiles;
        double seconds;
    } agents[AGENTS_MAX];
    size_t agents_len;
};

static int64_t columns(const struct picture *p)
{
    return (p->width + TILE - 1) / TILE;
}

static int64_t tiles(const struct picture *p)
{
    return columns(p) * ((p->height + TILE - 1) / TILE);
}

static struct tile tile_of(const struct picture *p, int64_t i)
{
    struct tile t = {.x = i % columns(p) * TILE, .y = i / columns(p) * TILE};

    t.width = p->width - t.x < TILE ? p->width - t.x : TILE;
    t.height = p->height - t.y < TILE ? p->height - t.y : TILE;
    t.picture_width = p->width;
    t.picture_height = p->height;
    return t;
}

static bool next_tile(void *arg, reeve_builder *item)
{
    struct picture *p = arg;
    struct tile t;

    if (p->given == tiles(p))
        return false;
    t = tile_of(p, p->given++);
    reeve_pack(item, "(iiiiii)", t.x, t.y, t.width, t.height, t.picture_width, t.picture_height);
    return true;
}

/* Its place in the list. When that is full, all others share the last one. */
static size_t agent_of(struct picture *p, const char *name)
{
    size_t i = 0;

    while (i < p->agents_len && strcmp(p->agents[i].name, name) != 0)
        i++;
    if (i == AGENTS_MAX)
        return AGENTS_MAX - 1;
    if (i == p->agents_len)
        snprintf(p->agents[p->agents_len++].name, sizeof p->agents[0].name, "%s", name);
    return i;
}

/* Light stays light and dark dark; the tile's edge is a thin line. */
static void tint(uint8_t out[3], const uint8_t pixel[3], size_t agent, bool edge)
{
    static const double colours[][3] = {{0.36, 0.66, 1.00}, {1.00, 0.62, 0.22}, {0.45, 0.85, 0.45},
                                        {0.95, 0.40, 0.55}, {0.75, 0.58, 1.00}, {0.98, 0.88, 0.35},
                                        {0.35, 0.85, 0.85}, {0.85, 0.70, 0.55}};
    const double *colour = colours[agent % (sizeof colours / sizeof *colours)];
    double light = 0.3 * pixel[0] + 0.59 * pixel[1] + 0.11 * pixel[2];

    for (size_t c = 0; c < 3; c++)
        out[c] = (uint8_t)((40 + light * 0.84) * colour[c] * (edge ? 0.72 : 1));
}

static void place(struct picture *p, int64_t i, const uint8_t *pixels, size_t agent)
{
    struct tile t = tile_of(p, i);

    for (int64_t y = 0; y < t.height; y++) {
        for (int64_t x = 0; x < t.width; x++, pixels += 3) {
            size_t at = (size_t)((t.y + y) * p->width + t.x + x) * 3;

            memcpy(p->pixels + at, pixels, 3);
            tint(p->by_agent + at, pixels, agent, x == 0 || y == 0);
        }
    }
}

static void show(const struct picture *p)
{
    enum { BAR = 32 };
    static const char full[] = "################################";
    static const char empty[] = "--------------------------------";
    int done = (int)(p->done * BAR / tiles(p));

    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rtiles  %.*s%.*s  %" PRId64 "/%" PRId64 "\033[K%s", done, full,
                BAR - done, empty, p->done, tiles(p), p->done == tiles(p) ? "\r\033[K" : "");
}

static reeve_err draw_all(struct picture *p, reeve_pool *pool)
{
    /* Tiles differ so much that none should travel with others. */
    const reeve_map_options options = {.chunksize = 1};
    reeve_iter *iter = NULL;
    reeve_value *tile = NULL;
    reeve_record record;
    uint64_t i = 0;
    reeve_err err = reeve_pool_imap_unordered(&iter, pool, REEVE_FN(draw), next_tile, p, &options);

    while (err == REEVE_OK) {
        const void *pixels = NULL;
        size_t len = 0;

        err = reeve_iter_next(&tile, iter, REEVE_FOREVER);
        if (err != REEVE_OK || tile == NULL)
            break; /* NULL: that was the last one */
        err = reeve_iter_record(iter, &i, &record);
        if (err == REEVE_OK && reeve_get_bytes(tile, &pixels, &len)) {
            size_t agent = agent_of(p, record.agent);

            p->agents[agent].tiles++;
            p->agents[agent].seconds += (double)record.ns / 1e9;
            p->done++;
            place(p, (int64_t)i, pixels, agent);
            show(p);
        }
        reeve_value_free(&tile);
    }
    reeve_iter_free(&iter);
    return err;
}

static int run_job(struct picture *p)
{
    const reeve_pool_options options = {.detail = true}; /* records name the agent */
    reeve_context *ctx = NULL;
    reeve_pool *pool = NULL;
    reeve_err err = reeve_open(&ctx, NULL); /* $REEVE_URL, $REEVE_KEY, else a manager of our own */

    if (err == REEVE_OK)
        err = reeve_pool_open(&pool, ctx, &options);
    if (err == REEVE_OK)
        err = draw_all(p, pool);
    if (err != REEVE_OK)
        fprintf(stderr, "mandelbrot: %s\n", reeve_errmsg());
    reeve_pool_close(&pool);
    reeve_close(&ctx);
    return err != REEVE_OK;
}

static int save(const char *path, const struct picture *p, const uint8_t *pixels)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)p->width,
                       .height = (png_uint_32)p->height,
                       .format = PNG_FORMAT_RGB};

    if (png_image_write_to_file(&image, path, 0, pixels, 0, NULL))
        return 0;
    fprintf(stderr, "mandelbrot: cannot write %s: %s\n", path, image.message);
    return 1;
}

/* A whole number from 1 to 20000; 0 when it is none. */
static int64_t pixels_of(const char *text)
{
    char *end = NULL;
    long x = strtol(text, &end, 10);

    return *end == '\0' && x > 0 && x <= 20000 ? x : 0;
}

int main(int argc, char **argv)
{
    static struct picture p = {.width = 1920, .height = 1080};
    int code = 0;

    reeve_main(&argc, &argv); /* a runner never returns from here */
    if (argc == 5) {
        p.width = pixels_of(argv[3]);
        p.height = pixels_of(argv[4]);
    }
    if ((argc != 2 && argc != 3 && argc != 5) || p.width == 0 || p.height == 0) {
        fprintf(stderr, "usage: mandelbrot PICTURE.png [AGENTS.png [WIDTH HEIGHT]]\n");
        return 2;
    }
    p.pixels = calloc((size_t)(p.width * p.height), 3);
    p.by_agent = calloc((size_t)(p.width * p.height), 3);
    if (p.pixels == NULL || p.by_agent == NULL)
        abort();
    code = run_job(&p);
    if (code == 0)
        code = save(argv[1], &p, p.pixels);
    if (code == 0 && argc > 2)
        code = save(argv[2], &p, p.by_agent);
    for (size_t i = 0; code == 0 && i < p.agents_len; i++)
        printf("agent %s: %" PRId64 " tiles, %.1f s of work\n", p.agents[i].name, p.agents[i].tiles,
               p.agents[i].seconds);
    free(p.pixels);
    free(p.by_agent);
    return code;
}
