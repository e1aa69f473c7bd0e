/* Runs the inputs that are kept for headers_fuzz.c. */
#include "headers_fuzz.c"
#include "replay.h"

int main(void)
{
    return replay("headers");
}
