/* Runs the inputs that are kept for json_fuzz.c. */
#include "json_fuzz.c"
#include "replay.h"

int main(void)
{
    return replay("json");
}
