/*
 * godwit-cni: the CNI plugin's executable on the host. A forwarder, small and static, that outlives the agent's upgrades:
 * all logic is in the agent. It hands the call to the agent's socket and prints the answer.
 *
 * Implements: CNI spec 1.1.0 §2 (parameters in the environment, configuration on stdin, result on stdout), §5 (errors).
 * Answers itself: VERSION; error 11 "try again later" (50 for STATUS) while the agent is away.
 *
 * To the agent: one JSON object, {"command":…,"containerId":…,"netns":…,"ifName":…,"args":…,"path":…,"config":STDIN}, then end of file.
 * From the agent: one line with the exit status, then the JSON to print, then end of file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/godwit/cni.sock"
#define AGENT_TIMEOUT_SECONDS 90 /* kubelet's runtime gives an ADD two minutes */
#define CONFIG_LIMIT (4 << 20)

struct text {
	char *bytes;
	size_t length, room;
};

static void append(struct text *t, const char *bytes, size_t length)
{
	if (t->length + length + 1 > t->room) {
		t->room = (t->length + length + 1) * 2;
		t->bytes = realloc(t->bytes, t->room);
		if (!t->bytes) {
			perror("godwit-cni");
			exit(1);
		}
	}
	memcpy(t->bytes + t->length, bytes, length);
	t->length += length;
	t->bytes[t->length] = 0;
}

static void append_string(struct text *t, const char *value)
{
	char escape[8];

	append(t, "\"", 1);
	for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
		if (*c == '"' || *c == '\\' || *c < 0x20) {
			snprintf(escape, sizeof escape, "\\u%04x", *c);
			append(t, escape, 6);
		} else {
			append(t, (const char *)c, 1);
		}
	}
	append(t, "\"", 1);
}

/* Reads to the end of file; 0, or -1 with errno. */
static int read_all(int fd, struct text *t, size_t limit)
{
	char buffer[65536];

	for (;;) {
		ssize_t n = read(fd, buffer, sizeof buffer);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
		if (t->length + (size_t)n > limit) {
			errno = EFBIG;
			return -1;
		}
		append(t, buffer, (size_t)n);
	}
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

/* Copies the plain string value of a key of the outermost object; 1 where found. Values with escapes are not taken. */
static int config_string(const char *json, const char *key, char *value, size_t room)
{
	int depth = 0;
	size_t key_length = strlen(key);

	if (!json)
		return 0;
	for (const char *c = json; *c; c++) {
		if (*c == '{' || *c == '[')
			depth++;
		if (*c == '}' || *c == ']')
			depth--;
		if (*c != '"')
			continue;
		const char *start = ++c;
		while (*c && *c != '"')
			c += (*c == '\\' && c[1]) ? 2 : 1;
		if (!*c)
			return 0;
		if (depth != 1 || (size_t)(c - start) != key_length || strncmp(start, key, key_length))
			continue;
		const char *after = c + 1;
		after += strspn(after, " \t\r\n");
		if (*after != ':')
			continue;
		after++;
		after += strspn(after, " \t\r\n");
		if (*after != '"')
			continue;
		size_t length = strcspn(++after, "\"\\");
		if (after[length] != '"' || length >= room)
			return 0;
		memcpy(value, after, length);
		value[length] = 0;
		return 1;
	}
	return 0;
}

static int fail(const char *version, int code, const char *message, const char *format, ...)
{
	struct text out = {0};
	char number[16], details[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(details, sizeof details, format, arguments);
	va_end(arguments);
	snprintf(number, sizeof number, "%d", code);
	append(&out, "{\"cniVersion\":", 14);
	append_string(&out, version);
	append(&out, ",\"code\":", 8);
	append(&out, number, strlen(number));
	append(&out, ",\"msg\":", 7);
	append_string(&out, message);
	append(&out, ",\"details\":", 11);
	append_string(&out, details);
	append(&out, "}\n", 2);
	fwrite(out.bytes, 1, out.length, stdout);
	return 1;
}

int main(void)
{
	static const struct {
		const char *variable, *key;
	} parameters[] = {
		{"CNI_COMMAND", "command"}, {"CNI_CONTAINERID", "containerId"}, {"CNI_NETNS", "netns"},
		{"CNI_IFNAME", "ifName"},   {"CNI_ARGS", "args"},               {"CNI_PATH", "path"},
	};
	const char *command = getenv("CNI_COMMAND");
	struct text config = {0}, request = {0}, reply = {0};
	char version[32] = "1.1.0", path[sizeof((struct sockaddr_un *)0)->sun_path] = DEFAULT_SOCKET;

	if (!command || !*command)
		return fail(version, 4, "CNI_COMMAND is not set", "godwit-cni is a CNI plugin; a container runtime runs it");
	if (read_all(STDIN_FILENO, &config, CONFIG_LIMIT))
		return fail(version, 5, "the network configuration on stdin cannot be read", "%s", strerror(errno));
	config_string(config.bytes, "cniVersion", version, sizeof version);
	config_string(config.bytes, "socket", path, sizeof path);

	if (!strcmp(command, "VERSION")) {
		printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n", version);
		return 0;
	}
	/* CNI spec 1.1.0, STATUS: 50 is "the plugin is not available". */
	int away = strcmp(command, "STATUS") ? 11 : 50;

	append(&request, "{", 1);
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		const char *value = getenv(parameters[i].variable);
		append_string(&request, parameters[i].key);
		append(&request, ":", 1);
		append_string(&request, value ? value : "");
		append(&request, ",", 1);
	}
	append(&request, "\"config\":", 9);
	if (config.length)
		append(&request, config.bytes, config.length);
	else
		append(&request, "null", 4);
	append(&request, "}", 1);

	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	struct timeval timeout = {.tv_sec = AGENT_TIMEOUT_SECONDS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(version, away, "no socket to reach the Godwit agent", "%s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		return fail(version, away, "the Godwit agent does not answer", "%s: %s", path, strerror(errno));
	if (write_all(fd, request.bytes, request.length) || shutdown(fd, SHUT_WR))
		return fail(version, away, "the Godwit agent went away", "%s: %s", path, strerror(errno));
	if (read_all(fd, &reply, 16 << 20))
		return fail(version, away, "the Godwit agent did not answer in time", "%s: %s", path, strerror(errno));

	char *end = reply.length ? memchr(reply.bytes, '\n', reply.length) : NULL;
	if (!end)
		return fail(version, away, "the Godwit agent went away in the middle of the call", "%s", path);
	fwrite(end + 1, 1, reply.length - (size_t)(end + 1 - reply.bytes), stdout);
	if (fflush(stdout))
		return 1;
	return atoi(reply.bytes);
}
