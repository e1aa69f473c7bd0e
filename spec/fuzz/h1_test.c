/* Runs the inputs that are kept for h1_fuzz.c. */
#include "h1_fuzz.c"
#include "replay.h"

int main(void)
{
    return replay("h1");
}
