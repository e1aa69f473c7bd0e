/* Runs the inputs that are kept for multipart_fuzz.c. */
#include "multipart_fuzz.c"
#include "replay.h"

int main(void)
{
    return replay("multipart");
}
