/* Runs the inputs that are kept for target_fuzz.c. */
#include "replay.h"
#include "target_fuzz.c"

int main(void)
{
    return replay("target");
}
