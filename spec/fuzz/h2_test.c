/* Runs the inputs that are kept for h2_fuzz.c. */
#include "h2_fuzz.c"
#include "replay.h"

int main(void)
{
    return replay("h2");
}
